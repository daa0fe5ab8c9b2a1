#include "watch/event_batch.h"

#include <utility>

#include "base/check.h"
#include "watch/wire.h"

namespace keel::watch {
namespace {

using kvstore::Event;
using kvstore::KeyValue;

// Field numbers of mvccpb.KeyValue, mvccpb.Event and WatchResponse.
constexpr uint32_t kKvKey = 1, kKvCreateRevision = 2, kKvModRevision = 3, kKvVersion = 4,
                   kKvValue = 5, kKvLease = 6;
constexpr uint32_t kEventType = 1, kEventKv = 2, kEventPrevKv = 3;
constexpr uint32_t kResponseEvents = 11;

size_t KeyValueBytes(const KeyValue& kv) {
  return wire::BytesFieldSize(kv.key.size()) + wire::IntFieldSize(kv.create_revision) +
         wire::IntFieldSize(kv.mod_revision) + wire::IntFieldSize(kv.version) +
         wire::BytesFieldSize(kv.value.size()) + wire::IntFieldSize(kv.lease);
}

void AppendKeyValue(const KeyValue& kv, std::string* out) {
  wire::AppendBytesField(kKvKey, kv.key, out);
  wire::AppendIntField(kKvCreateRevision, kv.create_revision, out);
  wire::AppendIntField(kKvModRevision, kv.mod_revision, out);
  wire::AppendIntField(kKvVersion, kv.version, out);
  wire::AppendBytesField(kKvValue, kv.value, out);
  wire::AppendIntField(kKvLease, kv.lease, out);
}

size_t MessageFieldSize(size_t bytes) { return 1 + wire::VarintSize(bytes) + bytes; }

size_t EventBytes(const Event& event, bool with_prev) {
  size_t bytes = wire::IntFieldSize(static_cast<int64_t>(event.type)) +
                 MessageFieldSize(KeyValueBytes(event.kv));
  if (with_prev && event.prev != nullptr) bytes += MessageFieldSize(KeyValueBytes(*event.prev));
  return bytes;
}

void AppendKeyValueField(uint32_t number, const KeyValue& kv, std::string* out) {
  wire::AppendTag(number, wire::kLengthDelimited, out);
  wire::AppendVarint(KeyValueBytes(kv), out);
  AppendKeyValue(kv, out);
}

}  // namespace

size_t EventFieldBytes(const Event& event, bool with_prev) {
  return MessageFieldSize(EventBytes(event, with_prev));
}

void AppendEventField(const Event& event, bool with_prev, std::string* out) {
  wire::AppendTag(kResponseEvents, wire::kLengthDelimited, out);
  wire::AppendVarint(EventBytes(event, with_prev), out);
  wire::AppendIntField(kEventType, static_cast<int64_t>(event.type), out);
  AppendKeyValueField(kEventKv, event.kv, out);
  if (with_prev && event.prev != nullptr) AppendKeyValueField(kEventPrevKv, *event.prev, out);
}

EventBatch::EventBatch(std::shared_ptr<const kvstore::FeedBatch> revisions)
    : revisions_(std::move(revisions)) {
  KEEL_CHECK(!revisions_->empty());
  int64_t last = 0;
  for (const kvstore::RevisionEvents& revision : *revisions_) {
    KEEL_CHECK(revision.revision > last, "revision=", revision.revision, " last=", last);
    KEEL_CHECK(!revision.events.empty(), "revision=", revision.revision);
    last = revision.revision;
    event_count_ += revision.events.size();
    for (const Event& event : revision.events) {
      bytes_ += sizeof(Event) + event.kv.key.size() + event.kv.value.size();
      if (event.prev != nullptr) {
        bytes_ += sizeof(KeyValue) + event.prev->key.size() + event.prev->value.size();
      }
    }
  }
}

SharedBytes EventBatch::Encoded(uint32_t revision, uint32_t event, bool with_prev) const {
  const Event& source = (*revisions_)[revision].events[event];
  if (source.prev == nullptr) with_prev = false;
  KEEL_CHECK(event < (1u << 31));
  const uint64_t slot = uint64_t{revision} << 32 | uint64_t{event} << 1 | uint64_t{with_prev};
  std::lock_guard lock(mu_);
  std::weak_ptr<const std::string>& cached = encoded_[slot];
  SharedBytes bytes = cached.lock();
  if (bytes == nullptr) {
    auto made = std::make_shared<std::string>();
    made->reserve(EventFieldBytes(source, with_prev));
    AppendEventField(source, with_prev, made.get());
    bytes = std::move(made);
    cached = bytes;
  }
  return bytes;
}

}  // namespace keel::watch
