// How revisions, keys and records become bytes (docs/formats/mvcc.md).
// Decoders return false for bytes that no encoder wrote.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "kvstore/mvcc/record.h"

namespace keel::kvstore {

// ---- integers

inline void AppendVarint(uint64_t value, std::string* out) {
  char buffer[10];
  size_t size = 0;
  while (value >= 0x80) {
    buffer[size++] = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  buffer[size++] = static_cast<char>(value);
  out->append(buffer, size);
}

inline bool ReadVarint(std::string_view* in, uint64_t* value) {
  uint64_t result = 0;
  for (size_t i = 0; i < in->size() && i < 10; ++i) {
    const auto byte = static_cast<uint8_t>((*in)[i]);
    result |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      *value = result;
      in->remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

inline bool ReadVarint(std::string_view* in, int64_t* value) {
  uint64_t raw = 0;
  if (!ReadVarint(in, &raw)) return false;
  *value = static_cast<int64_t>(raw);
  return true;
}

// Big-endian, so that bytes order as numbers do.
inline void StoreBig64(uint64_t value, char* out) {
  value = __builtin_bswap64(value);
  std::memcpy(out, &value, 8);
}
inline uint64_t LoadBig64(const char* in) {
  uint64_t value;
  std::memcpy(&value, in, 8);
  return __builtin_bswap64(value);
}
inline void AppendBig64(uint64_t value, std::string* out) {
  char buffer[8];
  StoreBig64(value, buffer);
  out->append(buffer, 8);
}
inline void AppendBig32(uint32_t value, std::string* out) {
  value = __builtin_bswap32(value);
  out->append(reinterpret_cast<const char*>(&value), 4);
}

// ---- records: the values of `latest`, and of `history` behind superseded_by

inline void AppendRecordHeader(const RecordView& record, std::string* out) {
  AppendVarint(static_cast<uint64_t>(record.mod_revision), out);
  AppendVarint(static_cast<uint64_t>(record.mod_revision - record.create_revision), out);
  AppendVarint(static_cast<uint64_t>(record.version), out);
  AppendVarint(static_cast<uint64_t>(record.lease), out);
}

// `record->key` stays as it is; the value points into `in`.
inline bool DecodeRecord(std::string_view in, RecordView* record) {
  int64_t age = 0;
  if (!ReadVarint(&in, &record->mod_revision) || !ReadVarint(&in, &age) ||
      !ReadVarint(&in, &record->version) || !ReadVarint(&in, &record->lease)) {
    return false;
  }
  record->create_revision = record->mod_revision - age;
  record->value = in;
  return record->create_revision > 0 && record->version > 0;
}

inline bool DecodeHistoryRecord(std::string_view in, int64_t* superseded_by, RecordView* record) {
  if (in.size() < 8) return false;
  *superseded_by = static_cast<int64_t>(LoadBig64(in.data()));
  return DecodeRecord(in.substr(8), record);
}

// ---- keys of `history`: escaped user key, terminator, inverted revision

inline void AppendEscaped(std::string_view key, std::string* out) {
  while (true) {
    const size_t zero = key.find('\0');
    if (zero == std::string_view::npos) {
      out->append(key);
      return;
    }
    out->append(key.substr(0, zero));
    out->append("\0\xff", 2);
    key.remove_prefix(zero + 1);
  }
}

inline void AppendHistoryKey(std::string_view key, int64_t revision, std::string* out) {
  AppendEscaped(key, out);
  out->append("\0\x01", 2);
  AppendBig64(~static_cast<uint64_t>(revision), out);
}

// *key points into `in`, or into *buffer when the key holds zero bytes.
inline bool DecodeHistoryKey(std::string_view in, std::string* buffer, std::string_view* key,
                             int64_t* revision) {
  if (in.size() < 10) return false;
  *revision = static_cast<int64_t>(~LoadBig64(in.data() + in.size() - 8));
  in.remove_suffix(8);
  if (in.substr(in.size() - 2) != std::string_view("\0\x01", 2)) return false;
  in.remove_suffix(2);
  if (in.find('\0') == std::string_view::npos) {
    *key = in;
    return true;
  }
  buffer->clear();
  for (size_t i = 0; i < in.size(); ++i) {
    buffer->push_back(in[i]);
    if (in[i] == '\0' && (++i == in.size() || in[i] != '\xff')) return false;
  }
  *key = *buffer;
  return true;
}

// ---- events: revision and sub-revision of the last of some in a row → these

inline constexpr size_t kEventKeySize = 12;

struct EventView {
  bool is_delete = false;
  int64_t prev_mod = 0;
  std::string_view key;
};

inline void StoreEventKey(int64_t revision, uint32_t sub, char out[kEventKeySize]) {
  StoreBig64(static_cast<uint64_t>(revision), out);
  sub = __builtin_bswap32(sub);
  std::memcpy(out + 8, &sub, 4);
}

// Gathers events that follow each other into one entry of `events`.
class EventPacker {
 public:
  bool empty() const { return events_ == 0; }
  size_t bytes() const { return body_.size(); }

  // REQUIRES: (revision, sub) lies behind that of the event added before.
  void Add(int64_t revision, uint32_t sub, const EventView& event);
  // Key and value of the entry; valid until the next Add, which begins a new one. REQUIRES:
  // !empty().
  struct Entry {
    std::string_view key, value;
  };
  Entry Take();

 private:
  size_t events_ = 0;
  int64_t first_ = 0, last_ = 0;  // revisions
  uint32_t last_sub_ = 0;
  std::string body_;
  char key_[kEventKeySize];
  std::string value_;
};

// Reads the events of one entry in their order, those written one by one (format 1) too.
class EventReader {
 public:
  EventReader(std::string_view key, std::string_view value);
  // False at the end, and for bytes that no encoder wrote: then !ok().
  bool Next();
  bool ok() const { return ok_; }
  int64_t revision() const { return revision_; }
  const EventView& event() const { return event_; }

 private:
  bool Damaged() { return ok_ = false; }

  std::string_view in_;
  int64_t last_ = 0;  // revision of the last event
  int64_t revision_ = 0;
  bool packed_ = false;
  bool begun_ = false;
  bool ok_ = false;
  EventView event_;
};

// ---- lease_keys: big-endian lease, user key

inline std::string LeaseKey(int64_t lease, std::string_view key) {
  std::string out;
  out.reserve(8 + key.size());
  AppendBig64(static_cast<uint64_t>(lease), &out);
  out.append(key);
  return out;
}

}  // namespace keel::kvstore
