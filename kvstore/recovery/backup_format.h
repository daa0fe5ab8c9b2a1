// A continuous backup in bytes: segments of records, and the catalogue that
// says which files belong together (docs/formats/backup.md).
//
//   std::string bytes = EncodeSegmentHeader(header);
//   AppendBackupRecord(header, bytes.size(), record, &bytes);
//
// Pure functions; thread-safe. Decoders return DataLoss for bytes that no
// encoder wrote, without a place: the caller knows the file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kvstore/api/rpc.pb.h"

namespace keel::kvstore {

inline constexpr uint32_t kBackupVersion = 1;

// Microseconds since 1970, UTC.
using WallMicros = int64_t;
std::string FormatWallTime(WallMicros time);  // RFC 3339, UTC, to the microsecond
absl::StatusOr<WallMicros> ParseWallTime(std::string_view text);

// ---- segments

inline constexpr size_t kSegmentHeaderBytes = 64;
inline constexpr size_t kBackupRecordHeaderBytes = 40;

struct SegmentHeader {
  uint64_t cluster_id = 0;
  uint64_t sequence = 0;  // of the segment, from 1
  // The records' revisions begin here, and leave none out.
  int64_t first_revision = 0;
  WallMicros created = 0;

  bool operator==(const SegmentHeader&) const = default;
};
std::string EncodeSegmentHeader(const SegmentHeader& header);
// FailedPrecondition for another version, InvalidArgument for something else than a segment.
absl::StatusOr<SegmentHeader> DecodeSegmentHeader(std::string_view bytes);

enum class BackupRecordType : uint8_t {
  kRevision = 1,  // all events of one revision
  kClock = 2,     // ends a group: up to `revision` nothing is missing that there was at `time`
  kLease = 3,     // what leases were granted for
};

struct BackupRecord {
  BackupRecordType type = BackupRecordType::kClock;
  uint64_t group = 0;    // of records written and made durable at once; from 1
  int64_t revision = 0;  // kRevision: its own; else that of the last one before
  WallMicros time = 0;   // at which it was received; never falls within a backup
  std::string body;      // see EncodeEvents and EncodeLeases; of kClock: empty

  bool operator==(const BackupRecord&) const = default;
};

// Appends `record`, which will stand at `offset` of the segment.
void AppendBackupRecord(const SegmentHeader& segment, uint64_t offset, const BackupRecord& record,
                        std::string* out);
// What of the header of a record says how long it is; nullopt when it is none of this segment.
// REQUIRES: header.size() == kBackupRecordHeaderBytes.
std::optional<uint32_t> BackupBodyBytes(const SegmentHeader& segment, std::string_view header);
// False when `bytes`, header and body, are not intact, or were written for another place.
bool DecodeBackupRecord(const SegmentHeader& segment, uint64_t offset, std::string_view bytes,
                        BackupRecord* record);
// What each record of the segment has at offset 8, four bytes.
std::string SegmentTag(const SegmentHeader& segment);

struct BackupLease {
  int64_t id = 0;
  int64_t granted_ttl = 0;  // seconds
  bool operator==(const BackupLease&) const = default;
};
std::string EncodeLeases(const std::vector<BackupLease>& leases);
absl::StatusOr<std::vector<BackupLease>> DecodeLeases(std::string_view body);

using BackupEvents = google::protobuf::RepeatedPtrField<mvccpb::Event>;
std::string EncodeEvents(const BackupEvents& events);
absl::StatusOr<BackupEvents> DecodeEvents(const std::string& body);

// ---- the catalogue

struct BackupBase {
  std::string name;  // of the file
  int64_t revision = 0;
  int64_t compact_revision = -1;
  // When it was complete, and all events up to its revision were.
  WallMicros time = 0;
  uint64_t bytes = 0;
  uint64_t auth_revision = 0;

  bool operator==(const BackupBase&) const = default;
};

struct BackupSegment {
  std::string name;
  uint64_t sequence = 0;
  int64_t first = 0;  // revision
  // Of one that is closed; the one that is written to is read to find out.
  int64_t last = 0;  // first - 1: no revision
  WallMicros until = 0;
  uint64_t bytes = 0;
  bool open = false;

  bool operator==(const BackupSegment&) const = default;
};

struct BackupCatalogue {
  uint64_t cluster_id = 0;
  uint64_t next_file = 1;               // number of the next base or segment
  std::vector<BackupBase> bases;        // as taken
  std::vector<BackupSegment> segments;  // by sequence; only the last one may be open

  bool operator==(const BackupCatalogue&) const = default;
};
std::string EncodeCatalogue(const BackupCatalogue& catalogue);
absl::StatusOr<BackupCatalogue> DecodeCatalogue(std::string_view text);

inline constexpr std::string_view kCatalogueName = "CATALOGUE";

}  // namespace keel::kvstore
