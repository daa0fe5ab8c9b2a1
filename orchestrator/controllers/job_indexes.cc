#include "orchestrator/controllers/job_indexes.h"

#include <algorithm>
#include <charconv>

#include "base/strings.h"

namespace keel::orchestrator {
namespace {

constexpr std::string_view kIndexAnnotation = "batch.kubernetes.io/job-completion-index";

// -1 when it is no number.
int64_t Number(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= 0 ? number : -1;
}

}  // namespace

std::vector<bool> IndexesOf(std::string_view text, int64_t completions) {
  std::vector<bool> indexes(static_cast<size_t>(std::max<int64_t>(completions, 0)));
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view part = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const size_t dash = part.find('-');
    const int64_t first = Number(part.substr(0, dash));
    const int64_t last = dash == part.npos ? first : Number(part.substr(dash + 1));
    if (first < 0) continue;
    for (int64_t i = first; i <= last && i < completions; ++i)
      indexes[static_cast<size_t>(i)] = true;
  }
  return indexes;
}

std::string IndexesText(const std::vector<bool>& indexes) {
  std::string text;
  for (size_t i = 0; i < indexes.size(); ++i) {
    if (!indexes[i]) continue;
    size_t last = i;
    while (last + 1 < indexes.size() && indexes[last + 1]) ++last;
    if (!text.empty()) text += ',';
    text += base::StrCat(i);
    if (last > i) text += base::StrCat(last == i + 1 ? "," : "-", last);
    i = last;
  }
  return text;
}

int64_t CompletionIndexOf(const PodInfo& pod) {
  const std::string_view text = pod.Annotation(kIndexAnnotation);
  return text.empty() ? -1 : Number(text);
}

}  // namespace keel::orchestrator
