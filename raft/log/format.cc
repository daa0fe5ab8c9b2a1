#include "raft/log/format.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/strings.h"

namespace keel::raft {
namespace {

using base::Crc32c;
using base::ExtendCrc32c;

static_assert(std::endian::native == std::endian::little, "the log format is little-endian");

constexpr std::string_view kIdentityMagic = "KEELRLOG";
constexpr std::string_view kSegmentMagic = "KEELRSEG";
constexpr size_t kIdentityBytes = 44;
constexpr size_t kTagAt = 16;
constexpr uint8_t kFlagLastOfBatch = 1;
// Data up to this size are copied next to their header: cheaper than a part of their own.
constexpr size_t kCopyBytesMax = 1024;
// What a builder keeps for the next batch.
constexpr size_t kKeepBytesMax = 1 << 20;

template <typename T>
void Put(std::string* out, T value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <typename T>
T Get(std::string_view data, size_t at) {
  T value;
  std::memcpy(&value, data.data() + at, sizeof(value));
  return value;
}

template <typename... U64>
FixedBody<8 * sizeof...(U64)> Fixed(U64... values) {
  FixedBody<8 * sizeof...(U64)> out;
  const uint64_t all[] = {values...};
  std::memcpy(out.bytes, all, sizeof(out.bytes));
  return out;
}

std::string_view Bytes(const uint64_t& value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

void PutIds(std::string* out, const std::vector<NodeId>& ids) {
  Put(out, static_cast<uint32_t>(ids.size()));
  for (const NodeId id : ids) Put(out, id);
}

bool GetIds(std::string_view* in, std::vector<NodeId>* ids) {
  if (in->size() < 4) return false;
  const auto count = Get<uint32_t>(*in, 0);
  in->remove_prefix(4);
  if (in->size() / sizeof(NodeId) < count) return false;
  for (uint32_t i = 0; i < count; ++i) ids->push_back(Get<NodeId>(*in, i * sizeof(NodeId)));
  in->remove_prefix(count * sizeof(NodeId));
  return true;
}

void PutConf(std::string* out, const ConfState& conf) {
  Put<uint32_t>(out, conf.auto_leave ? 1 : 0);
  PutIds(out, conf.voters);
  PutIds(out, conf.learners);
  PutIds(out, conf.voters_outgoing);
  PutIds(out, conf.learners_next);
}

bool GetConf(std::string_view in, ConfState* conf) {
  if (in.size() < 4) return false;
  conf->auto_leave = Get<uint32_t>(in, 0) != 0;
  in.remove_prefix(4);
  return GetIds(&in, &conf->voters) && GetIds(&in, &conf->learners) &&
         GetIds(&in, &conf->voters_outgoing) && GetIds(&in, &conf->learners_next) && in.empty();
}

}  // namespace

std::string EncodeIdentity(const LogIdentity& identity) {
  std::string out(kIdentityMagic);
  Put(&out, identity.version);
  Put<uint32_t>(&out, 0);
  Put(&out, identity.cluster_id);
  Put(&out, identity.member_id);
  Put(&out, identity.salt);
  Put(&out, Crc32c(out));
  return out;
}

absl::StatusOr<LogIdentity> DecodeIdentity(std::string_view data, uint32_t wanted) {
  if (data.size() != kIdentityBytes || data.substr(0, 8) != kIdentityMagic ||
      Get<uint32_t>(data, 40) != Crc32c(data.substr(0, 40))) {
    return absl::DataLossError("not an intact Raft log identity");
  }
  const auto version = Get<uint32_t>(data, 8);
  if (version != wanted) {
    return absl::FailedPreconditionError(
        base::StrCat("Raft log format ", version, " instead of ", wanted,
                     " (1 is the log of one group, 2 that of many)"));
  }
  return LogIdentity{Get<uint64_t>(data, 16), Get<uint64_t>(data, 24), Get<uint64_t>(data, 32),
                     version};
}

std::string EncodeSegmentHeader(const LogIdentity& identity, uint64_t sequence) {
  std::string out(kSegmentMagic);
  Put(&out, identity.version);
  Put<uint32_t>(&out, 0);
  Put(&out, identity.cluster_id);
  Put(&out, identity.member_id);
  Put(&out, identity.salt);
  Put(&out, sequence);
  Put<uint64_t>(&out, 0);
  Put<uint32_t>(&out, 0);
  Put(&out, Crc32c(out));
  KEEL_CHECK(out.size() == kSegmentHeaderBytes);
  return out;
}

bool SegmentHeaderMatches(std::string_view data, const LogIdentity& identity, uint64_t sequence) {
  return data.substr(0, kSegmentHeaderBytes) == EncodeSegmentHeader(identity, sequence);
}

HardState StateInFront(HardState state, bool reset, const std::vector<Entry>& entries) {
  if (reset) {
    state.commit = 0;  // no more than a hint
  } else if (!entries.empty()) {
    state.commit = std::min(state.commit, entries.front().index - 1);
  }
  return state;
}

std::optional<HardState> StateBehind(const std::optional<HardState>& state, const Entry& entry) {
  if (!state || entry.type != EntryType::kConfChange || entry.index > state->commit) {
    return std::nullopt;
  }
  HardState behind = *state;
  behind.commit = entry.index;
  return behind;
}

FixedBody<24> EncodeHardState(const HardState& state) {
  return Fixed(state.term, state.vote, state.commit);
}

std::optional<HardState> DecodeHardState(std::string_view body) {
  if (body.size() != 24) return std::nullopt;
  return HardState{Get<Term>(body, 0), Get<NodeId>(body, 8), Get<Index>(body, 16)};
}

FixedBody<16> EncodePoint(const LogPoint& point) { return Fixed(point.index, point.term); }

std::optional<LogPoint> DecodePoint(std::string_view body) {
  if (body.size() != 16) return std::nullopt;
  return LogPoint{Get<Index>(body, 0), Get<Term>(body, 8)};
}

std::string EncodeCheckpoint(const LogCheckpoint& checkpoint) {
  std::string out(EncodePoint(checkpoint.base));
  Put(&out, checkpoint.last);
  out += EncodeHardState(checkpoint.hard_state);
  PutConf(&out, checkpoint.initial_conf);
  return out;
}

std::optional<LogCheckpoint> DecodeCheckpoint(std::string_view body) {
  if (body.size() < 52) return std::nullopt;
  LogCheckpoint out{*DecodePoint(body.substr(0, 16)),
                    Get<Index>(body, 16),
                    *DecodeHardState(body.substr(24, 24)),
                    {}};
  if (!GetConf(body.substr(48), &out.initial_conf)) return std::nullopt;
  return out;
}

std::string EncodeGroupState(const GroupState& state) {
  std::string out(EncodePoint(state.base));
  out += EncodeHardState(state.hard_state);
  PutConf(&out, state.initial_conf);
  return out;
}

std::optional<GroupState> DecodeGroupState(std::string_view body) {
  if (body.size() < 44) return std::nullopt;
  GroupState out{*DecodePoint(body.substr(0, 16)), *DecodeHardState(body.substr(16, 24)), {}};
  if (!GetConf(body.substr(40), &out.initial_conf)) return std::nullopt;
  return out;
}

FixedBody<8> EncodeU64(uint64_t value) { return Fixed(value); }

std::optional<uint64_t> DecodeU64(std::string_view body) {
  if (body.size() != 8) return std::nullopt;
  return Get<uint64_t>(body, 0);
}

std::optional<GroupId> TakeGroup(std::string_view* body) {
  if (body->size() < kGroupBytes) return std::nullopt;
  const auto group = Get<GroupId>(*body, 0);
  if (group == kNoGroup || group == kHostGroup) return std::nullopt;
  body->remove_prefix(kGroupBytes);
  return group;
}

std::optional<Entry> DecodeEntry(std::string_view body, uint8_t entry_type) {
  if (body.size() < kEntryFixedBytes || entry_type > static_cast<uint8_t>(EntryType::kConfChange)) {
    return std::nullopt;
  }
  Entry entry;
  entry.term = Get<Term>(body, 0);
  entry.index = Get<Index>(body, 8);
  entry.type = static_cast<EntryType>(entry_type);
  entry.data = std::make_shared<const std::string>(body.substr(kEntryFixedBytes));
  return entry;
}

std::optional<LogPoint> EntryPoint(std::string_view body, uint8_t entry_type) {
  if (body.size() < kEntryFixedBytes || entry_type > static_cast<uint8_t>(EntryType::kConfChange)) {
    return std::nullopt;
  }
  return LogPoint{Get<Index>(body, 8), Get<Term>(body, 0)};
}

uint32_t SegmentTag(uint64_t salt, uint64_t sequence) {
  return ExtendCrc32c(Crc32c(Bytes(salt)), Bytes(sequence));
}

bool HasTagAt(std::string_view data, uint64_t at, uint32_t tag) {
  return data.size() >= kRecordHeaderBytes && at <= data.size() - kRecordHeaderBytes &&
         Get<uint32_t>(data, at + kTagAt) == tag;
}

std::optional<uint64_t> ClaimedRecordBytes(std::string_view data, uint64_t at, uint32_t tag) {
  if (!HasTagAt(data, at, tag)) return std::nullopt;
  return RecordBytes(Get<uint32_t>(data, at + 4));
}

std::optional<RecordView> ParseRecord(std::string_view data, uint64_t data_offset, uint64_t offset,
                                      uint32_t tag) {
  const uint64_t at = offset - data_offset;
  // The tag first: it rules out zeroes and former lives without a checksum.
  if (offset < data_offset || !HasTagAt(data, at, tag)) return std::nullopt;
  const std::string_view header = data.substr(at, kRecordHeaderBytes);
  const uint64_t length = Get<uint32_t>(header, 4);
  if (length > data.size() - at - kRecordHeaderBytes) return std::nullopt;
  const std::string_view body = data.substr(at + kRecordHeaderBytes, length);
  uint32_t crc = ExtendCrc32c(tag, Bytes(offset));
  crc = ExtendCrc32c(crc, header.substr(4));
  crc = ExtendCrc32c(crc, body);
  if (crc != Get<uint32_t>(header, 0)) return std::nullopt;
  RecordView record;
  record.type = static_cast<RecordType>(header[20]);
  record.last_of_batch = (static_cast<uint8_t>(header[21]) & kFlagLastOfBatch) != 0;
  record.entry_type = static_cast<uint8_t>(header[22]);
  record.batch = Get<uint64_t>(header, 8);
  record.body = body;
  record.end = offset + RecordBytes(length);
  return record;
}

BatchBuilder::BatchBuilder(uint32_t tag, uint64_t offset, uint64_t number)
    : tag_(tag), start_(offset), number_(number), end_(offset) {}

void BatchBuilder::Restart(uint32_t tag, uint64_t offset, uint64_t number) {
  tag_ = tag;
  start_ = end_ = offset;
  number_ = number;
  arena_.clear();
  if (arena_.capacity() > kKeepBytesMax) arena_.shrink_to_fit();
  parts_.clear();
  pending_ = false;
}

void BatchBuilder::AddRaw(std::string_view bytes) {
  KEEL_CHECK(!pending_);
  std::memcpy(Reserve(bytes.size()), bytes.data(), bytes.size());
}

void BatchBuilder::Add(RecordType type, std::string_view body) { Begin(type, 0, body, {}, true); }

uint64_t BatchBuilder::AddEntry(const Entry& entry) {
  const uint64_t offset = end_;
  char fixed[kEntryFixedBytes];
  std::memcpy(fixed, &entry.term, 8);
  std::memcpy(fixed + 8, &entry.index, 8);
  Begin(RecordType::kEntry, static_cast<uint8_t>(entry.type), {fixed, sizeof(fixed)}, *entry.data,
        entry.data->size() <= kCopyBytesMax);
  return offset;
}

void BatchBuilder::Add(GroupId group, RecordType type, std::string_view body) {
  Begin(type, 0, Bytes(group), body, true);
}

uint64_t BatchBuilder::AddEntry(GroupId group, RecordType type, const Entry& entry) {
  const uint64_t offset = end_;
  char fixed[kGroupBytes + kEntryFixedBytes];
  std::memcpy(fixed, &group, 8);
  std::memcpy(fixed + 8, &entry.term, 8);
  std::memcpy(fixed + 16, &entry.index, 8);
  Begin(type, static_cast<uint8_t>(entry.type), {fixed, sizeof(fixed)}, *entry.data,
        entry.data->size() <= kCopyBytesMax);
  return offset;
}

// Room for `bytes` at the end, zeroed.
char* BatchBuilder::Reserve(size_t bytes) {
  const size_t at = arena_.size();
  if (!parts_.empty() && parts_.back().data == nullptr) {
    parts_.back().size += bytes;
  } else {
    parts_.push_back({nullptr, at, bytes});
  }
  arena_.resize(at + bytes);
  end_ += bytes;
  return arena_.data() + at;
}

// Copies `data`, or refers to them.
void BatchBuilder::Begin(RecordType type, uint8_t entry_type, std::string_view fixed,
                         std::string_view data, bool copy) {
  if (pending_) FinishPending(false);
  const size_t body_bytes = fixed.size() + data.size();
  KEEL_CHECK(body_bytes <= UINT32_MAX, "record of ", body_bytes, " bytes");
  pending_ = true;
  pending_at_ = arena_.size();
  pending_offset_ = end_;
  pending_fixed_bytes_ = fixed.size() + (copy ? data.size() : 0);
  pending_data_ = copy ? std::string_view() : data;

  const size_t padding_bytes = RecordBytes(body_bytes) - kRecordHeaderBytes - body_bytes;
  char* const header =
      Reserve(kRecordHeaderBytes + pending_fixed_bytes_ + (copy ? padding_bytes : 0));
  const auto length = static_cast<uint32_t>(body_bytes);
  std::memcpy(header + 4, &length, 4);
  std::memcpy(header + 8, &number_, 8);
  std::memcpy(header + kTagAt, &tag_, 4);
  header[20] = static_cast<char>(type);
  header[22] = static_cast<char>(entry_type);
  if (!fixed.empty()) std::memcpy(header + kRecordHeaderBytes, fixed.data(), fixed.size());
  if (copy) {
    if (!data.empty())
      std::memcpy(header + kRecordHeaderBytes + fixed.size(), data.data(), data.size());
    return;
  }
  parts_.push_back({data.data(), 0, data.size()});
  end_ += data.size();
  Reserve(padding_bytes);
}

void BatchBuilder::FinishPending(bool last) {
  char* header = arena_.data() + pending_at_;
  if (last) header[21] = static_cast<char>(kFlagLastOfBatch);
  uint32_t crc = ExtendCrc32c(tag_, Bytes(pending_offset_));
  crc = ExtendCrc32c(crc, {header + 4, kRecordHeaderBytes - 4 + pending_fixed_bytes_});
  if (!pending_data_.empty()) crc = ExtendCrc32c(crc, pending_data_);
  std::memcpy(header, &crc, 4);
}

void BatchBuilder::Finish() {
  KEEL_CHECK(pending_, "a batch without records");
  FinishPending(true);
}

std::span<const std::string_view> BatchBuilder::Parts() {
  views_.clear();
  for (const Part& part : parts_) {
    if (part.size == 0) continue;
    views_.emplace_back(part.data != nullptr ? part.data : arena_.data() + part.at, part.size);
  }
  return views_;
}

}  // namespace keel::raft
