#include "watch/response_plan.h"

#include <memory>
#include <string>
#include <utility>

#include "base/mutation.h"

namespace keel::watch {
namespace {

// Below it, copying an event into the buffer of its response costs less than
// carrying it as a part of its own.
constexpr size_t kPartBytesMin = 4096;

}  // namespace

void ResponsePlan::Build(std::span<const EventRef> matched, size_t begin, const EventFilter& filter,
                         size_t bytes_target) {
  Clear();
  built_ = true;
  begin_ = begin;
  prev_kv_ = filter.prev_kv;
  for (size_t i = begin; i < matched.size(); ++i) {
    if (filter.Wants(matched[i].event())) events_.push_back(matched[i]);
  }

  const auto count = static_cast<uint32_t>(events_.size());
  for (uint32_t i = 0; i < count;) {
    const int64_t revision = events_[i].revision();
    const uint32_t revision_begin = i;
    size_t revision_bytes = 0;
    for (; i < count && events_[i].revision() == revision; ++i) {
      if (KEEL_MUTATION(kWatchSplitsRevision) && i > revision_begin) break;
      revision_bytes += EventFieldBytes(events_[i].event(), prev_kv_);
    }
    if (responses_.empty() || responses_.back().bytes + revision_bytes > bytes_target ||
        (KEEL_MUTATION(kWatchSplitsRevision) && responses_.back().last_revision == revision)) {
      responses_.emplace_back();
      responses_.back().first_revision = revision;
      responses_.back().begin = revision_begin;
    }
    Response& response = responses_.back();
    response.last_revision = revision;
    response.end = i;
    response.bytes += revision_bytes;
  }
  for (Response& response : responses_) response.parts = Encode(response.begin, response.end);
}

void ResponsePlan::Clear() {
  built_ = false;
  events_.clear();
  responses_.clear();
}

EncodedEvents ResponsePlan::Encode(uint32_t begin, uint32_t end) const {
  EncodedEvents parts;
  if (end - begin == 1) {
    const EventRef& only = events_[begin];
    parts.push_back(only.batch->Encoded(only.revision_index, only.event_index, prev_kv_));
    return parts;
  }
  auto buffer = std::make_shared<std::string>();
  for (uint32_t i = begin; i < end; ++i) {
    const EventRef& ref = events_[i];
    if (EventFieldBytes(ref.event(), prev_kv_) < kPartBytesMin) {
      AppendEventField(ref.event(), prev_kv_, buffer.get());
      continue;
    }
    if (!buffer->empty()) parts.push_back(std::exchange(buffer, std::make_shared<std::string>()));
    parts.push_back(ref.batch->Encoded(ref.revision_index, ref.event_index, prev_kv_));
  }
  if (!buffer->empty()) parts.push_back(std::move(buffer));
  return parts;
}

std::vector<ResponsePlan::Response> ResponsePlan::Split(const Response& response,
                                                        size_t bytes_max) const {
  std::vector<Response> pieces;
  for (uint32_t i = response.begin; i < response.end; ++i) {
    const size_t bytes = EventFieldBytes(events_[i].event(), prev_kv_);
    if (pieces.empty() || pieces.back().bytes + bytes > bytes_max) {
      pieces.emplace_back();
      pieces.back().begin = i;
      pieces.back().first_revision = events_[i].revision();
    }
    Response& piece = pieces.back();
    piece.last_revision = events_[i].revision();
    piece.end = i + 1;
    piece.bytes += bytes;
  }
  for (Response& piece : pieces) piece.parts = Encode(piece.begin, piece.end);
  return pieces;
}

}  // namespace keel::watch
