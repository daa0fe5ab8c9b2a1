#include "kvstore/recovery/backup_format.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>

#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/mvcc/coding.h"

namespace keel::kvstore {

using base::StrCat;

namespace {

constexpr std::string_view kMagic = "KEELBKUP";
constexpr std::string_view kCatalogueHead = "keel-backup";
constexpr size_t kTagAt = 8;
constexpr size_t kLeaseBytes = 16;

uint32_t LoadBig32(const char* in) {
  uint32_t value;
  std::memcpy(&value, in, 4);
  return __builtin_bswap32(value);
}

std::string Big64(uint64_t value) {
  std::string out;
  AppendBig64(value, &out);
  return out;
}

// Of a record without its first four bytes. Its place counts, too.
uint32_t RecordCrc(uint64_t offset, std::string_view checked) {
  return base::ExtendCrc32c(base::Crc32c(Big64(offset)), checked);
}

// A line of the catalogue: a kind, and words behind names.
class Line {
 public:
  explicit Line(std::string_view text) {
    const std::vector<std::string> words = absl::StrSplit(base::ToAbsl(text), ' ');
    kind_ = words[0];
    for (size_t i = 1; i + 1 < words.size(); i += 2) fields_[words[i]] = words[i + 1];
    good_ = words.size() % 2 == 1;
  }

  const std::string& kind() const { return kind_; }
  std::string Text(const std::string& name) {
    const auto found = fields_.find(name);
    if (found == fields_.end()) good_ = false;
    return found == fields_.end() ? "" : found->second;
  }
  template <typename Number>
  Number Get(const std::string& name, int base = 10) {
    const std::string text = Text(name);
    Number value = 0;
    const auto end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, value, base);
    if (text.empty() || parsed.ec != std::errc() || parsed.ptr != end) good_ = false;
    return value;
  }
  // A plain name: it becomes a path, and may lead nowhere else.
  std::string File() {
    const std::string name = Text("file");
    if (name.empty() || name[0] == '.' || name.find('/') != std::string::npos) good_ = false;
    return name;
  }
  WallMicros Time(const std::string& name) {
    const auto time = ParseWallTime(Text(name));
    if (!time.ok()) good_ = false;
    return time.value_or(0);
  }
  bool good() const { return good_; }

 private:
  std::string kind_;
  std::map<std::string, std::string> fields_;
  bool good_ = true;
};

}  // namespace

std::string FormatWallTime(WallMicros time) {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E6SZ", absl::FromUnixMicros(time),
                          absl::UTCTimeZone());
}

absl::StatusOr<WallMicros> ParseWallTime(std::string_view text) {
  absl::Time time;
  std::string why;
  if (!absl::ParseTime(absl::RFC3339_full, base::ToAbsl(text), &time, &why)) {
    return absl::InvalidArgumentError(
        StrCat("\"", text, "\" is no time such as 2026-01-31T12:00:00Z"));
  }
  return absl::ToUnixMicros(time);
}

// ---- segments

std::string EncodeSegmentHeader(const SegmentHeader& header) {
  std::string out(kMagic);
  AppendBig32(kBackupVersion, &out);
  AppendBig32(0, &out);
  AppendBig64(header.cluster_id, &out);
  AppendBig64(header.sequence, &out);
  AppendBig64(static_cast<uint64_t>(header.first_revision), &out);
  AppendBig64(static_cast<uint64_t>(header.created), &out);
  out.resize(kSegmentHeaderBytes - 4, '\0');
  AppendBig32(base::Crc32c(out), &out);
  return out;
}

absl::StatusOr<SegmentHeader> DecodeSegmentHeader(std::string_view bytes) {
  if (bytes.size() < kSegmentHeaderBytes) {
    return absl::DataLossError("it is cut short in its header");
  }
  bytes = bytes.substr(0, kSegmentHeaderBytes);
  if (bytes.substr(0, kMagic.size()) != kMagic) {
    return absl::InvalidArgumentError("it is no segment of a backup");
  }
  const std::string_view checked = bytes.substr(0, kSegmentHeaderBytes - 4);
  if (base::Crc32c(checked) != LoadBig32(bytes.data() + checked.size())) {
    return absl::DataLossError("its header is damaged");
  }
  if (const uint32_t version = LoadBig32(bytes.data() + 8); version != kBackupVersion) {
    return absl::FailedPreconditionError(
        StrCat("it has version ", version, "; this program reads version ", kBackupVersion));
  }
  SegmentHeader header;
  header.cluster_id = LoadBig64(bytes.data() + 16);
  header.sequence = LoadBig64(bytes.data() + 24);
  header.first_revision = static_cast<int64_t>(LoadBig64(bytes.data() + 32));
  header.created = static_cast<WallMicros>(LoadBig64(bytes.data() + 40));
  return header;
}

std::string SegmentTag(const SegmentHeader& segment) {
  std::string out;
  AppendBig32(base::Crc32c(EncodeSegmentHeader(segment)), &out);
  return out;
}

void AppendBackupRecord(const SegmentHeader& segment, uint64_t offset, const BackupRecord& record,
                        std::string* out) {
  KEEL_CHECK(record.body.size() <= UINT32_MAX);
  const size_t start = out->size();
  AppendBig32(0, out);  // the checksum
  AppendBig32(static_cast<uint32_t>(record.body.size()), out);
  *out += SegmentTag(segment);
  AppendBig32(static_cast<uint32_t>(record.type) << 24, out);
  AppendBig64(record.group, out);
  AppendBig64(static_cast<uint64_t>(record.revision), out);
  AppendBig64(static_cast<uint64_t>(record.time), out);
  KEEL_CHECK(out->size() - start == kBackupRecordHeaderBytes);
  *out += record.body;
  std::string crc;
  AppendBig32(RecordCrc(offset, std::string_view(*out).substr(start + 4)), &crc);
  out->replace(start, 4, crc);
}

std::optional<uint32_t> BackupBodyBytes(const SegmentHeader& segment, std::string_view header) {
  KEEL_CHECK(header.size() == kBackupRecordHeaderBytes);
  if (header.substr(kTagAt, 4) != SegmentTag(segment)) return std::nullopt;
  return LoadBig32(header.data() + 4);
}

bool DecodeBackupRecord(const SegmentHeader& segment, uint64_t offset, std::string_view bytes,
                        BackupRecord* record) {
  if (bytes.size() < kBackupRecordHeaderBytes) return false;
  const auto body = BackupBodyBytes(segment, bytes.substr(0, kBackupRecordHeaderBytes));
  if (!body || bytes.size() != kBackupRecordHeaderBytes + *body) return false;
  if (LoadBig32(bytes.data()) != RecordCrc(offset, bytes.substr(4))) return false;
  const uint32_t type = LoadBig32(bytes.data() + 12);
  if (type != 1u << 24 && type != 2u << 24 && type != 3u << 24) return false;
  record->type = static_cast<BackupRecordType>(type >> 24);
  record->group = LoadBig64(bytes.data() + 16);
  record->revision = static_cast<int64_t>(LoadBig64(bytes.data() + 24));
  record->time = static_cast<WallMicros>(LoadBig64(bytes.data() + 32));
  record->body = bytes.substr(kBackupRecordHeaderBytes);
  return true;
}

std::string EncodeLeases(const std::vector<BackupLease>& leases) {
  std::string body;
  for (const BackupLease& lease : leases) {
    AppendBig64(static_cast<uint64_t>(lease.id), &body);
    AppendBig64(static_cast<uint64_t>(lease.granted_ttl), &body);
  }
  return body;
}

absl::StatusOr<std::vector<BackupLease>> DecodeLeases(std::string_view body) {
  if (body.size() % kLeaseBytes != 0) return absl::DataLossError("leases that do not parse");
  std::vector<BackupLease> leases;
  for (; !body.empty(); body.remove_prefix(kLeaseBytes)) {
    leases.push_back({static_cast<int64_t>(LoadBig64(body.data())),
                      static_cast<int64_t>(LoadBig64(body.data() + 8))});
  }
  return leases;
}

std::string EncodeEvents(const BackupEvents& events) {
  etcdserverpb::WatchResponse response;
  *response.mutable_events() = events;
  return response.SerializeAsString();
}

absl::StatusOr<BackupEvents> DecodeEvents(const std::string& body) {
  etcdserverpb::WatchResponse response;
  if (!response.ParseFromString(body) || response.events().empty()) {
    return absl::DataLossError("events that do not parse");
  }
  return std::move(*response.mutable_events());
}

// ---- the catalogue

std::string EncodeCatalogue(const BackupCatalogue& catalogue) {
  std::string out = absl::StrFormat("keel-backup version %d cluster %x next %d\n", kBackupVersion,
                                    catalogue.cluster_id, catalogue.next_file);
  for (const BackupBase& base : catalogue.bases) {
    out += StrCat("base file ", base.name, " revision ", base.revision, " compacted ",
                  base.compact_revision, " time ", FormatWallTime(base.time), " bytes ", base.bytes,
                  " auth ", base.auth_revision, "\n");
  }
  for (const BackupSegment& segment : catalogue.segments) {
    out += StrCat(segment.open ? "open" : "segment", " file ", segment.name, " sequence ",
                  segment.sequence, " first ", segment.first);
    if (!segment.open) {
      out += StrCat(" last ", segment.last, " until ", FormatWallTime(segment.until), " bytes ",
                    segment.bytes);
    }
    out += "\n";
  }
  return out + absl::StrFormat("crc %08x\n", base::Crc32c(out));
}

absl::StatusOr<BackupCatalogue> DecodeCatalogue(std::string_view text) {
  const absl::Status damaged = absl::DataLossError("it is damaged");
  if (!text.starts_with(kCatalogueHead)) {
    return absl::InvalidArgumentError("it is no catalogue of a backup");
  }
  const size_t crc_at = text.rfind("crc ");
  if (crc_at == std::string_view::npos || crc_at == 0 || text[crc_at - 1] != '\n' ||
      text.substr(crc_at) != absl::StrFormat("crc %08x\n", base::Crc32c(text.substr(0, crc_at)))) {
    return damaged;
  }
  BackupCatalogue catalogue;
  std::vector<std::string> lines =
      absl::StrSplit(base::ToAbsl(text.substr(0, crc_at)), '\n', absl::SkipEmpty());
  Line head(lines[0]);
  if (const auto version = head.Get<uint32_t>("version"); version != kBackupVersion) {
    return absl::FailedPreconditionError(
        StrCat("it has version ", version, "; this program reads version ", kBackupVersion));
  }
  catalogue.cluster_id = head.Get<uint64_t>("cluster", 16);
  catalogue.next_file = head.Get<uint64_t>("next");
  if (!head.good()) return damaged;
  for (size_t i = 1; i < lines.size(); ++i) {
    Line line(lines[i]);
    if (line.kind() == "base") {
      catalogue.bases.push_back({line.File(), line.Get<int64_t>("revision"),
                                 line.Get<int64_t>("compacted"), line.Time("time"),
                                 line.Get<uint64_t>("bytes"), line.Get<uint64_t>("auth")});
    } else if (line.kind() == "segment" || line.kind() == "open") {
      BackupSegment segment;
      segment.name = line.File();
      segment.sequence = line.Get<uint64_t>("sequence");
      segment.first = line.Get<int64_t>("first");
      segment.open = line.kind() == "open";
      if (!segment.open) {
        segment.last = line.Get<int64_t>("last");
        segment.until = line.Time("until");
        segment.bytes = line.Get<uint64_t>("bytes");
      }
      if (!catalogue.segments.empty() && catalogue.segments.back().open) return damaged;
      catalogue.segments.push_back(std::move(segment));
    } else {
      return damaged;
    }
    if (!line.good()) return damaged;
  }
  return catalogue;
}

}  // namespace keel::kvstore
