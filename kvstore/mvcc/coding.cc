#include "kvstore/mvcc/coding.h"

#include <utility>

#include "base/check.h"

namespace keel::kvstore {

namespace {
// Where an event written alone has its type, 0 or 1.
constexpr char kPacked = 2;
}  // namespace

void EventPacker::Add(int64_t revision, uint32_t sub, const EventView& event) {
  if (events_++ == 0) {
    body_.clear();
    first_ = revision;
  } else {
    AppendVarint(static_cast<uint64_t>(revision - last_), &body_);
  }
  last_ = revision;
  last_sub_ = sub;
  AppendVarint(static_cast<uint64_t>(event.prev_mod) << 1 | (event.is_delete ? 1 : 0), &body_);
  AppendVarint(event.key.size(), &body_);
  body_.append(event.key);
}

EventPacker::Entry EventPacker::Take() {
  KEEL_CHECK(events_ > 0);
  events_ = 0;
  StoreEventKey(last_, last_sub_, key_);
  value_.assign(1, kPacked);
  AppendVarint(static_cast<uint64_t>(last_ - first_), &value_);
  value_.append(body_);
  return {std::string_view(key_, kEventKeySize), value_};
}

EventReader::EventReader(std::string_view key, std::string_view value) : in_(value) {
  if (key.size() != kEventKeySize || value.empty()) return;
  last_ = static_cast<int64_t>(LoadBig64(key.data()));
  revision_ = last_;
  packed_ = value[0] == kPacked;
  if (packed_) {
    in_.remove_prefix(1);
    int64_t span = 0;
    if (!ReadVarint(&in_, &span) || span < 0 || span >= last_ || in_.empty()) return;
    revision_ -= span;
  }
  ok_ = true;
}

bool EventReader::Next() {
  if (!ok_) return false;
  if (in_.empty()) return revision_ == last_ ? false : Damaged();
  if (!packed_) {
    if (static_cast<uint8_t>(in_[0]) > 1) return Damaged();
    event_.is_delete = in_[0] == 1;
    in_.remove_prefix(1);
    if (!ReadVarint(&in_, &event_.prev_mod) || in_.empty()) return Damaged();
    event_.key = std::exchange(in_, {});
    return true;
  }
  int64_t step = 0;
  if (std::exchange(begun_, true) && !ReadVarint(&in_, &step)) return Damaged();
  if (step < 0 || step > last_ - revision_) return Damaged();
  revision_ += step;
  uint64_t prev_and_type = 0, size = 0;
  if (!ReadVarint(&in_, &prev_and_type) || !ReadVarint(&in_, &size)) return Damaged();
  if (size == 0 || size > in_.size()) return Damaged();
  event_.is_delete = (prev_and_type & 1) != 0;
  event_.prev_mod = static_cast<int64_t>(prev_and_type >> 1);
  event_.key = in_.substr(0, size);
  in_.remove_prefix(size);
  return true;
}

}  // namespace keel::kvstore
