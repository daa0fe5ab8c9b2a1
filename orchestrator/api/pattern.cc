#include "orchestrator/api/pattern.h"

#include <boost/regex.hpp>

#include "base/strings.h"

namespace keel::orchestrator {

struct Pattern::Impl {
  boost::regex regex;
};

Pattern::Pattern(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Pattern::~Pattern() = default;

absl::StatusOr<std::shared_ptr<const Pattern>> Pattern::Compile(std::string_view expression) {
  auto impl = std::make_unique<Impl>();
  const boost::regex::flag_type flags = boost::regex::perl | boost::regex::no_except;
  impl->regex.assign(expression.data(), expression.data() + expression.size(), flags);
  if (impl->regex.status() != 0) {
    return absl::InvalidArgumentError(base::StrCat("not a regular expression: ", expression,
                                                   " (error ", impl->regex.status(), ")"));
  }
  return std::shared_ptr<const Pattern>(new Pattern(std::move(impl)));
}

bool Pattern::Matches(std::string_view text) const {
  // Boost throws when a search exceeds its bound of steps: better no match than a server that
  // hangs.
  try {
    return boost::regex_search(text.begin(), text.end(), impl_->regex);
  } catch (const std::runtime_error&) {
    return false;
  }
}

}  // namespace keel::orchestrator
