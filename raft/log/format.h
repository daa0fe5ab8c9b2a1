// The bytes of the Raft log on disk: identity file, segment header, records.
// Specified, with worked examples, in docs/formats/raft-log.md (one group) and
// docs/formats/raft-shared-log.md (many).
//
//   BatchBuilder batch(SegmentTag(identity.salt, sequence), offset, number);
//   batch.Add(RecordType::kHardState, EncodeHardState(hard_state));
//   batch.AddEntry(entry);
//   batch.Finish();                       // marks the last record
//   file.WriteV(offset, batch.Parts());
//
//   ParseRecord(bytes, 0, offset, tag)    // the record there, or nothing
//
// All integers are little-endian. Pure functions and values; no I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "raft/core/types.h"

namespace keel::raft {

inline constexpr uint32_t kLogFormatVersion = 1;
inline constexpr uint32_t kSharedLogFormatVersion = 2;
inline constexpr uint64_t kSegmentHeaderBytes = 64;
inline constexpr uint64_t kRecordHeaderBytes = 24;
inline constexpr uint64_t kRecordAlignBytes = 8;
inline constexpr uint64_t kEntryFixedBytes = 16;  // of an entry's body, before its data
inline constexpr uint64_t kGroupBytes = 8;        // before the body, in a shared log

// Whom a log belongs to. `salt` is random and makes a record of another log,
// or bytes that a client chose, unable to pass for a record of this one.
struct LogIdentity {
  uint64_t cluster_id = 0;
  uint64_t member_id = 0;
  uint64_t salt = 0;
  uint32_t version = kLogFormatVersion;

  bool operator==(const LogIdentity&) const = default;
};

// A place in the log: the entry at `index`, of `term`.
struct LogPoint {
  Index index = 0;
  Term term = 0;

  bool operator==(const LogPoint&) const = default;
};

enum class RecordType : uint8_t {
  kEntry = 1,  // a log entry; replaces what was at its index and after it
  kHardState = 2,
  kTruncate = 3,    // entries up to a point are no longer needed
  kReset = 4,       // a snapshot replaced the log: it restarts after a point
  kCheckpoint = 5,  // first of every segment: where the log stood
  kSegmentEnd = 6,  // last of every segment but the newest
  kSeal = 7,        // ends a batch whose tail was cut at start
  // In a shared log only.
  kHorizon = 8,      // first of every segment too: which segments are needed
  kGroup = 9,        // all about a group but its entries
  kMovedEntry = 10,  // an entry again, so that a segment can be freed
  kRemovedGroup = 11,
};

// Body of kCheckpoint: the state all earlier segments lead to.
struct LogCheckpoint {
  LogPoint base;   // of the last kTruncate or kReset
  Index last = 0;  // the last entry
  HardState hard_state;
  ConfState initial_conf;  // of the cluster's first start
};

// Body of kGroup in a shared log, after the group's id.
struct GroupState {
  LogPoint base;
  HardState hard_state;
  ConfState initial_conf;
};

// A body of a size known at compile time: no allocation.
template <size_t kSize>
struct FixedBody {
  char bytes[kSize];
  operator std::string_view() const { return {bytes, kSize}; }
};

std::string EncodeIdentity(const LogIdentity& identity);
// DataLoss when it is not an intact identity; FailedPrecondition for another format.
absl::StatusOr<LogIdentity> DecodeIdentity(std::string_view data,
                                           uint32_t version = kLogFormatVersion);

std::string EncodeSegmentHeader(const LogIdentity& identity, uint64_t sequence);
// Nothing unless the header is intact and of this log and sequence.
bool SegmentHeaderMatches(std::string_view data, const LogIdentity& identity, uint64_t sequence);

FixedBody<24> EncodeHardState(const HardState& state);
// The hard state as it may stand in front of a reset or of entries: were these torn off, its
// commit index must not name the entries that they were to replace.
HardState StateInFront(HardState state, bool reset, const std::vector<Entry>& entries);
// The hard state that must stand between `entry` and what follows it, if any: that a change of
// membership is committed is on the disk before what its configuration may have led to. Else a
// tear could leave a later change in the log with this one not known to be committed, and the
// member would campaign by a configuration that is two changes old.
std::optional<HardState> StateBehind(const std::optional<HardState>& state, const Entry& entry);
FixedBody<16> EncodePoint(const LogPoint& point);
std::string EncodeCheckpoint(const LogCheckpoint& checkpoint);
std::optional<HardState> DecodeHardState(std::string_view body);
std::optional<LogPoint> DecodePoint(std::string_view body);
std::optional<LogCheckpoint> DecodeCheckpoint(std::string_view body);
std::string EncodeGroupState(const GroupState& state);
std::optional<GroupState> DecodeGroupState(std::string_view body);
FixedBody<8> EncodeU64(uint64_t value);
std::optional<uint64_t> DecodeU64(std::string_view body);
// Takes the group's id off the front of a body.
std::optional<GroupId> TakeGroup(std::string_view* body);
// The entry, its data copied.
std::optional<Entry> DecodeEntry(std::string_view body, uint8_t entry_type);
// Its index and term alone.
std::optional<LogPoint> EntryPoint(std::string_view body, uint8_t entry_type);

// Marks the records of one segment, and is what their checksums start from.
// Derived from the salt, so that nobody can choose bytes that look like it.
uint32_t SegmentTag(uint64_t salt, uint64_t sequence);
// Whether the tag stands where a record at `at` of `data` would carry it.
bool HasTagAt(std::string_view data, uint64_t at, uint32_t tag);

// Bytes that a record with a body of this size takes.
inline constexpr uint64_t RecordBytes(uint64_t body_bytes) {
  return (kRecordHeaderBytes + body_bytes + kRecordAlignBytes - 1) / kRecordAlignBytes *
         kRecordAlignBytes;
}

// Bytes that the record at `at` of `data` takes if its header is to be believed. Nothing without
// the tag.
std::optional<uint64_t> ClaimedRecordBytes(std::string_view data, uint64_t at, uint32_t tag);

// A record in place; `body` points into the bytes it was parsed from.
struct RecordView {
  RecordType type = RecordType::kEntry;
  bool last_of_batch = false;
  uint8_t entry_type = 0;
  uint64_t batch = 0;
  std::string_view body;
  uint64_t end = 0;  // offset of the next record
};

// The record at `offset` of `data`, whose first byte lies at `data_offset` of
// the segment. Nothing when there is no intact record of this segment.
std::optional<RecordView> ParseRecord(std::string_view data, uint64_t data_offset, uint64_t offset,
                                      uint32_t tag);

// Encodes the records that become durable together. Data of entries are
// referenced, not copied, when large: entries must outlive the builder's use.
class BatchBuilder {
 public:
  // Records start at `offset` of the segment; `number` counts the log's batches.
  BatchBuilder(uint32_t tag, uint64_t offset, uint64_t number);

  // Starts over as a new one, but keeps its memory.
  void Restart(uint32_t tag, uint64_t offset, uint64_t number);

  // Bytes ahead of the records (a segment's header). REQUIRES: nothing added yet.
  void AddRaw(std::string_view bytes);
  void Add(RecordType type, std::string_view body);
  void Add(GroupId group, RecordType type, std::string_view body);
  // Returns the offset of the record.
  uint64_t AddEntry(const Entry& entry);
  // In a shared log; kEntry or kMovedEntry.
  uint64_t AddEntry(GroupId group, RecordType type, const Entry& entry);
  // Marks the last record and computes what is missing. REQUIRES: not empty.
  void Finish();

  // What to write, in order. REQUIRES: Finish was called. Valid until the builder changes.
  std::span<const std::string_view> Parts();

  bool empty() const { return !pending_; }
  uint64_t start() const { return start_; }
  uint64_t end() const { return end_; }  // offset after the last record
  uint64_t number() const { return number_; }

 private:
  struct Part {
    const char* data;  // null: in arena_ at `at`
    size_t at;
    size_t size;
  };
  void Begin(RecordType type, uint8_t entry_type, std::string_view fixed, std::string_view data,
             bool copy);
  void FinishPending(bool last);
  char* Reserve(size_t bytes);

  uint32_t tag_;
  uint64_t start_;
  uint64_t number_;
  uint64_t end_;
  std::string arena_;
  std::vector<Part> parts_;
  std::vector<std::string_view> views_;  // of Parts, kept for its memory

  // The newest record: its checksum waits until it is known to be the last or not.
  bool pending_ = false;
  size_t pending_at_ = 0;        // of its header in arena_
  uint64_t pending_offset_ = 0;  // in the segment
  size_t pending_fixed_bytes_ = 0;
  std::string_view pending_data_;
};

}  // namespace keel::raft
