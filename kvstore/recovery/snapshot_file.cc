#include "kvstore/recovery/snapshot_file.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/mvcc/coding.h"
#include "kvstore/mvcc/database.h"
#include "kvstore/mvcc/db_view.h"
#include "kvstore/mvcc/writer.h"

namespace keel::kvstore {

using base::StrCat;

namespace {

constexpr std::string_view kMagic = "KEELSNAP";
constexpr size_t kFixedBytes = 80;  // of the header, before the files
constexpr size_t kCrcBytes = 4;
constexpr size_t kSummaryBytes = 16;  // behind the files, since version 2
constexpr size_t kHeaderBytesMax = 16 << 20;
constexpr size_t kChunkBytes = 256 << 10;
constexpr uint64_t kReadCacheBytes = 8 << 20;

uint32_t LoadBig32(const char* in) {
  uint32_t value;
  std::memcpy(&value, in, 4);
  return __builtin_bswap32(value);
}

// What stands behind the files.
uint64_t SummaryBytes(const SnapshotHeader& header) {
  return header.version >= 2 ? kSummaryBytes : 0;
}

std::string Crc(uint32_t crc) {
  std::string out;
  AppendBig32(crc, &out);
  return out;
}

std::string EncodeSummary(const SnapshotSummary& summary) {
  std::string out;
  AppendBig64(summary.keys, &out);
  AppendBig32(summary.hash_kv, &out);
  return out + Crc(base::Crc32c(out));
}

// DataLoss when it is damaged. REQUIRES: kSummaryBytes of them.
absl::StatusOr<SnapshotSummary> DecodeSummary(std::string_view bytes) {
  KEEL_CHECK(bytes.size() == kSummaryBytes);
  if (base::Crc32c(bytes.substr(0, 12)) != LoadBig32(bytes.data() + 12)) {
    return absl::DataLossError("it is altered: the checksum of its summary does not match");
  }
  return SnapshotSummary{LoadBig64(bytes.data()), LoadBig32(bytes.data() + 8)};
}

uint64_t Padding(uint64_t bytes) {
  return (kSnapshotAlign - bytes % kSnapshotAlign) % kSnapshotAlign;
}

absl::Status Named(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(),
                      StrCat("snapshot file ", path, ": ", base::ToStd(status.message())));
}

absl::StatusOr<SnapshotHeader> ReadHeader(base::File& file) {
  KEEL_ASSIGN_OR_RETURN(std::string bytes, file.Read(0, kFixedBytes));
  if (bytes.size() >= 16 && std::string_view(bytes).substr(0, 8) == kMagic) {
    const uint32_t length = LoadBig32(bytes.data() + 12);
    if (length > kFixedBytes && length <= kHeaderBytesMax) {
      KEEL_ASSIGN_OR_RETURN(bytes, file.Read(0, length));
    }
  }
  return DecodeSnapshotHeader(bytes);
}

// Reads `bytes` from `offset` on in chunks.
absl::Status ReadRange(base::File& file, uint64_t offset, uint64_t bytes,
                       absl::FunctionRef<absl::Status(std::string_view)> take) {
  while (bytes > 0) {
    KEEL_ASSIGN_OR_RETURN(const std::string chunk,
                          file.Read(offset, std::min<uint64_t>(bytes, kChunkBytes)));
    if (chunk.empty()) return absl::DataLossError(StrCat("it is cut short at byte ", offset));
    KEEL_RETURN_IF_ERROR(take(chunk));
    offset += chunk.size();
    bytes -= chunk.size();
  }
  return absl::OkStatus();
}

}  // namespace

std::string EncodeSnapshotHeader(const SnapshotHeader& header) {
  std::string files;
  for (const SnapshotHeader::File& file : header.files) {
    AppendBig64(file.bytes, &files);
    AppendBig32(static_cast<uint32_t>(file.name.size()), &files);
    files += file.name;
  }
  std::string out(kMagic);
  AppendBig32(header.version, &out);
  AppendBig32(static_cast<uint32_t>(kFixedBytes + files.size() + kCrcBytes), &out);
  AppendBig64(header.cluster_id, &out);
  AppendBig64(header.member_id, &out);
  AppendBig64(header.index, &out);
  AppendBig64(header.term, &out);
  AppendBig64(static_cast<uint64_t>(header.revision), &out);
  AppendBig64(static_cast<uint64_t>(header.compact_revision + 1), &out);
  const SnapshotSummary summary = header.version >= 2 ? SnapshotSummary() : header.summary;
  AppendBig64(summary.keys, &out);
  AppendBig32(summary.hash_kv, &out);
  AppendBig32(static_cast<uint32_t>(header.files.size()), &out);
  KEEL_CHECK(out.size() == kFixedBytes);
  out += files;
  return out + Crc(base::Crc32c(out));
}

absl::StatusOr<SnapshotHeader> DecodeSnapshotHeader(std::string_view bytes) {
  if (bytes.substr(0, kMagic.size()) != kMagic.substr(0, bytes.size()) || bytes.empty()) {
    return absl::InvalidArgumentError(
        "it is no snapshot of this server's (one of etcd's is read by kvctl migrate)");
  }
  if (bytes.size() < kFixedBytes) return absl::DataLossError("it is cut short in its header");
  const uint32_t version = LoadBig32(bytes.data() + 8);
  if (version == 0 || version > kSnapshotVersion) {
    return absl::FailedPreconditionError(StrCat(
        "it has version ", version, "; this program reads versions 1 to ", kSnapshotVersion));
  }
  const size_t length = LoadBig32(bytes.data() + 12);
  if (length < kFixedBytes + kCrcBytes || length > kHeaderBytesMax) {
    return absl::DataLossError("its header is damaged");
  }
  if (bytes.size() < length) return absl::DataLossError("it is cut short in its header");
  bytes = bytes.substr(0, length);
  const std::string_view checked = bytes.substr(0, length - kCrcBytes);
  if (base::Crc32c(checked) != LoadBig32(bytes.data() + checked.size())) {
    return absl::DataLossError("its header is damaged");
  }
  SnapshotHeader header;
  header.version = version;
  header.cluster_id = LoadBig64(bytes.data() + 16);
  header.member_id = LoadBig64(bytes.data() + 24);
  header.index = LoadBig64(bytes.data() + 32);
  header.term = LoadBig64(bytes.data() + 40);
  header.revision = static_cast<int64_t>(LoadBig64(bytes.data() + 48));
  header.compact_revision = static_cast<int64_t>(LoadBig64(bytes.data() + 56)) - 1;
  header.summary = {LoadBig64(bytes.data() + 64), LoadBig32(bytes.data() + 72)};
  const uint32_t count = LoadBig32(bytes.data() + 76);
  std::string_view rest = checked.substr(kFixedBytes);
  uint64_t total = 0;
  for (uint32_t i = 0; i < count; ++i) {
    if (rest.size() < 12) return absl::DataLossError("its header is damaged");
    SnapshotHeader::File file;
    file.bytes = LoadBig64(rest.data());
    const size_t name = LoadBig32(rest.data() + 8);
    rest.remove_prefix(12);
    if (name > rest.size()) return absl::DataLossError("its header is damaged");
    file.name = rest.substr(0, name);
    rest.remove_prefix(name);
    // A name becomes a path: it may lead nowhere else.
    if (file.name.empty() || file.name[0] == '.' || file.name.find('/') != std::string::npos ||
        file.name.find('\0') != std::string::npos) {
      return absl::DataLossError(StrCat("it holds a file with a name that is none"));
    }
    if (file.bytes > UINT64_MAX / 2 - total) return absl::DataLossError("its header is damaged");
    total += file.bytes;
    header.files.push_back(std::move(file));
  }
  if (!rest.empty()) return absl::DataLossError("its header is damaged");
  return header;
}

uint64_t SnapshotBytes(const SnapshotHeader& header) {
  uint64_t bytes = EncodeSnapshotHeader(header).size();
  for (const SnapshotHeader::File& file : header.files) bytes += file.bytes + kCrcBytes;
  bytes += SummaryBytes(header);
  return bytes + Padding(bytes);
}

// ---- Checkpoint

Checkpoint::~Checkpoint() = default;

absl::StatusOr<std::unique_ptr<Checkpoint>> Checkpoint::Open(base::FileSystem& fs,
                                                             const std::string& dir) {
  std::unique_ptr<Checkpoint> out(new Checkpoint());
  SnapshotHeader& header = out->header_;
  // Before the database is opened, which may add files of its own.
  KEEL_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.List(dir));
  for (const std::string& name : names) {
    if (name == "LOCK") continue;
    KEEL_ASSIGN_OR_RETURN(const auto file,
                          fs.Open(dir + "/" + name, base::FileSystem::Mode::kRead));
    KEEL_ASSIGN_OR_RETURN(const uint64_t bytes, file->Size());
    header.files.push_back({name, bytes});
  }
  StoreOptions options;
  options.block_cache_bytes = kReadCacheBytes;
  options.background_threads = 1;
  options.read_only = true;
  KEEL_ASSIGN_OR_RETURN(out->database_, Database::Open(dir, options, /*create=*/false));
  KEEL_ASSIGN_OR_RETURN(const AppliedMeta meta, ReadAppliedMeta(*out->database_, false));
  header.index = meta.index;
  header.term = meta.term;
  header.revision = meta.revision;
  header.compact_revision = meta.compact_revision;
  return out;
}

absl::StatusOr<SnapshotSummary> Checkpoint::Summarize(const std::atomic<bool>& cancel) const {
  const DbView view(database_, header_.revision, header_.compact_revision, header_.index);
  SnapshotSummary summary;
  KEEL_ASSIGN_OR_RETURN(const HashResult hash, view.HashAndCount(cancel, &summary.keys));
  summary.hash_kv = hash.hash;
  return summary;
}

absl::StatusOr<SnapshotHeader> DescribeCheckpoint(base::FileSystem& fs, const std::string& dir) {
  KEEL_ASSIGN_OR_RETURN(const auto checkpoint, Checkpoint::Open(fs, dir));
  SnapshotHeader header = checkpoint->header();
  const std::atomic<bool> never = false;
  KEEL_ASSIGN_OR_RETURN(header.summary, checkpoint->Summarize(never));
  return header;
}

// ---- SHA-256

Sha256::Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
  KEEL_CHECK(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
}

void Sha256::Add(std::string_view bytes) {
  KEEL_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

std::string Sha256::Finish() {
  std::string out(kSnapshotHashBytes, '\0');
  unsigned int size = 0;
  KEEL_CHECK(EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(out.data()),
                                &size) == 1 &&
             size == out.size());
  return out;
}

// ---- SnapshotProducer

SnapshotProducer::SnapshotProducer(base::FileSystem& fs, std::string dir,
                                   const SnapshotHeader& header, Summary summary)
    : fs_(fs),
      dir_(std::move(dir)),
      files_(header.files),
      total_(SnapshotBytes(header)),
      summary_(std::move(summary)),
      pending_(EncodeSnapshotHeader(header)) {
  if (header.version < 2) {
    summary_ = nullptr;
  } else if (summary_ == nullptr) {
    summary_ = [known = header.summary] { return known; };
  }
}

// Puts the next piece into pending_ when it is empty; it stays empty at the end.
absl::Status SnapshotProducer::Fill() {
  if (!pending_.empty()) return absl::OkStatus();
  if (file_ == nullptr && next_ < files_.size()) {
    KEEL_ASSIGN_OR_RETURN(file_,
                          fs_.Open(dir_ + "/" + files_[next_].name, base::FileSystem::Mode::kRead));
    offset_ = 0;
    crc_ = 0;
  }
  if (file_ == nullptr && summary_ != nullptr) {
    const Summary summary = std::exchange(summary_, nullptr);
    KEEL_ASSIGN_OR_RETURN(const SnapshotSummary known, summary());
    pending_ = EncodeSummary(known);
    return absl::OkStatus();
  }
  if (file_ == nullptr) {
    KEEL_CHECK(total_ >= sent_ && total_ - sent_ < kSnapshotAlign, "total=", total_,
               " sent=", sent_);
    pending_.assign(total_ - sent_, '\0');
    return absl::OkStatus();
  }
  const SnapshotHeader::File& expected = files_[next_];
  KEEL_ASSIGN_OR_RETURN(
      pending_, file_->Read(offset_, std::min<uint64_t>(kChunkBytes, expected.bytes - offset_)));
  crc_ = base::ExtendCrc32c(crc_, pending_);
  offset_ += pending_.size();
  if (offset_ == expected.bytes) {
    pending_ += Crc(crc_);
    file_ = nullptr;
    ++next_;
  } else if (pending_.empty()) {
    return absl::DataLossError(StrCat("checkpoint ", dir_, "/", expected.name, " ends at byte ",
                                      offset_, ", not at ", expected.bytes));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> SnapshotProducer::Read(size_t size) {
  std::string out;
  while (out.size() < size && sent_ < total_) {
    KEEL_RETURN_IF_ERROR(Fill());
    const size_t part = std::min(size - out.size(), pending_.size());
    out.append(pending_, 0, part);
    pending_.erase(0, part);
    sent_ += part;
  }
  hash_.Add(out);
  return out;
}

// ---- reading

absl::StatusOr<SnapshotHeader> VerifySnapshot(base::FileSystem& fs, const std::string& path,
                                              SnapshotHash hash) {
  KEEL_ASSIGN_OR_RETURN(const auto file, fs.Open(path, base::FileSystem::Mode::kRead));
  absl::StatusOr<SnapshotHeader> header = ReadHeader(*file);
  if (!header.ok()) return Named(path, header.status());
  KEEL_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  const uint64_t data = SnapshotBytes(*header);
  const bool has_hash = size == data + kSnapshotHashBytes;
  if (size < data) {
    return Named(path, absl::DataLossError(StrCat("it is cut short: ", size, " bytes of ",
                                                  data + kSnapshotHashBytes)));
  }
  if (!has_hash && hash == SnapshotHash::kRequired) {
    return Named(path, absl::DataLossError(StrCat("it has ", size, " bytes instead of ",
                                                  data + kSnapshotHashBytes,
                                                  ": its integrity hash is missing or damaged")));
  }

  Sha256 sha;
  uint64_t offset = EncodeSnapshotHeader(*header).size();
  absl::Status read = ReadRange(*file, 0, offset, [&](std::string_view chunk) {
    sha.Add(chunk);
    return absl::OkStatus();
  });
  std::string damaged;  // the first file that is
  for (const SnapshotHeader::File& each : header->files) {
    uint32_t crc = 0;
    std::string tail;  // the checksum behind the file
    uint64_t left = each.bytes;
    if (!read.ok()) break;
    read = ReadRange(*file, offset, each.bytes + kCrcBytes, [&](std::string_view chunk) {
      sha.Add(chunk);
      const size_t part = std::min<uint64_t>(left, chunk.size());
      crc = base::ExtendCrc32c(crc, chunk.substr(0, part));
      left -= part;
      tail += chunk.substr(part);
      return absl::OkStatus();
    });
    if (read.ok() && damaged.empty() && tail != Crc(crc)) damaged = each.name;
    offset += each.bytes + kCrcBytes;
  }
  std::string rest;  // summary and padding
  if (read.ok()) {
    read = ReadRange(*file, offset, data - offset, [&](std::string_view chunk) {
      sha.Add(chunk);
      rest += chunk;
      return absl::OkStatus();
    });
  }
  if (!read.ok()) return Named(path, read);
  if (!damaged.empty()) {
    return Named(path, absl::DataLossError(
                           StrCat("it is altered: the checksum of ", damaged, " does not match")));
  }
  if (header->version >= 2) {
    const auto summary = DecodeSummary(std::string_view(rest).substr(0, kSummaryBytes));
    if (!summary.ok()) return Named(path, summary.status());
    header->summary = *summary;
  }
  if (hash == SnapshotHash::kRequired) {
    KEEL_ASSIGN_OR_RETURN(const std::string expected, file->Read(data, kSnapshotHashBytes));
    if (expected != sha.Finish()) {
      return Named(path, absl::DataLossError("it is altered: its integrity hash does not match"));
    }
  }
  return *header;
}

absl::Status ExtractSnapshot(base::FileSystem& fs, const std::string& path,
                             const SnapshotHeader& header, const std::string& dir,
                             SnapshotProgress progress) {
  KEEL_ASSIGN_OR_RETURN(const auto file, fs.Open(path, base::FileSystem::Mode::kRead));
  const uint64_t total = SnapshotBytes(header);
  uint64_t offset = EncodeSnapshotHeader(header).size();
  for (const SnapshotHeader::File& each : header.files) {
    KEEL_ASSIGN_OR_RETURN(const auto out,
                          fs.Open(dir + "/" + each.name, base::FileSystem::Mode::kCreateEmpty));
    uint64_t written = 0;
    uint32_t crc = 0;
    const absl::Status copied =
        ReadRange(*file, offset, each.bytes, [&](std::string_view chunk) -> absl::Status {
          crc = base::ExtendCrc32c(crc, chunk);
          KEEL_RETURN_IF_ERROR(out->Write(written, chunk));
          written += chunk.size();
          progress(offset + written, total);
          return absl::OkStatus();
        });
    KEEL_RETURN_IF_ERROR(copied);
    offset += each.bytes;
    KEEL_ASSIGN_OR_RETURN(const std::string expected, file->Read(offset, kCrcBytes));
    if (expected != Crc(crc)) {
      return Named(path, absl::DataLossError(
                             StrCat("the checksum of ", each.name, " does not match any more")));
    }
    offset += kCrcBytes;
    KEEL_RETURN_IF_ERROR(out->Sync());
  }
  progress(total, total);
  return fs.SyncDir(dir);
}

}  // namespace keel::kvstore
