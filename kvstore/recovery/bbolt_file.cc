#include "kvstore/recovery/bbolt_file.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "base/status.h"
#include "base/strings.h"
#include "kvstore/recovery/snapshot_file.h"

namespace keel::kvstore {

using base::StrCat;

namespace {

constexpr uint32_t kMagic = 0xED0CDAED;
constexpr uint32_t kVersion = 2;
constexpr size_t kPageHeader = 16;
constexpr size_t kElement = 16;
constexpr size_t kMetaBytes = 64;
constexpr size_t kBucketHeader = 16;
constexpr uint16_t kBranchPage = 1;
constexpr uint16_t kLeafPage = 2;
constexpr uint32_t kBucketLeaf = 1;
constexpr int kDepthMax = 64;
constexpr uint64_t kPageSizeMin = 512;
constexpr uint64_t kPageSizeMax = 1 << 20;
constexpr uint64_t kHashBytes = 32;
constexpr uint64_t kChunkBytes = 1 << 20;

template <typename Number>
Number Load(std::string_view bytes, size_t at) {  // of a little-endian machine's file
  Number value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

uint64_t Fnv1a(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}

// Part of `bytes`; nullopt when it reaches beyond them.
std::optional<std::string_view> Slice(std::string_view bytes, uint64_t at, uint64_t size) {
  if (at > bytes.size() || size > bytes.size() - at) return std::nullopt;
  return bytes.substr(at, size);
}

}  // namespace

absl::Status BboltFile::Damaged(uint64_t offset, std::string_view what) const {
  return absl::DataLossError(
      StrCat("etcd database ", path_, " is damaged at byte ", offset, ": ", what));
}

absl::StatusOr<std::unique_ptr<BboltFile>> BboltFile::Open(base::FileSystem& fs,
                                                           const std::string& path,
                                                           BboltHash hash) {
  KEEL_ASSIGN_OR_RETURN(auto opened, fs.Open(path, base::FileSystem::Mode::kRead));
  std::unique_ptr<BboltFile> file(new BboltFile(path, std::move(opened)));
  KEEL_ASSIGN_OR_RETURN(const uint64_t size, file->file_->Size());
  // As etcd tells: databases are multiples of 512, and so a hash behind one shows.
  const bool has_hash = size % kSnapshotAlign == kHashBytes;
  file->size_ = has_hash ? size - kHashBytes : size;
  KEEL_RETURN_IF_ERROR(file->ReadMetas());
  if (hash == BboltHash::kRequired) {
    if (!has_hash) {
      return absl::InvalidArgumentError(
          StrCat("etcd database ", path,
                 " has no integrity hash: it is cut short, or a member's own file, which "
                 "--skip-hash-check reads"));
    }
    KEEL_RETURN_IF_ERROR(file->CheckHash(file->size_));
  }
  return file;
}

absl::Status BboltFile::CheckHash(uint64_t file_size) {
  Sha256 sha;
  for (uint64_t offset = 0; offset < file_size;) {
    KEEL_ASSIGN_OR_RETURN(const std::string chunk,
                          file_->Read(offset, std::min(kChunkBytes, file_size - offset)));
    if (chunk.empty()) return Damaged(offset, "it is cut short");
    sha.Add(chunk);
    offset += chunk.size();
  }
  KEEL_ASSIGN_OR_RETURN(const std::string expected, file_->Read(file_size, kHashBytes));
  if (expected != sha.Finish()) {
    return absl::DataLossError(StrCat("etcd database ", path_,
                                      " is altered: its integrity hash (at byte ", file_size,
                                      ") does not match"));
  }
  return absl::OkStatus();
}

absl::StatusOr<BboltFile::Meta> BboltFile::ReadMeta(uint64_t offset) const {
  KEEL_ASSIGN_OR_RETURN(const std::string page, file_->Read(offset, kPageHeader + kMetaBytes));
  const auto bytes = Slice(page, kPageHeader, kMetaBytes);
  if (!bytes || Load<uint32_t>(*bytes, 0) != kMagic) {
    return absl::InvalidArgumentError(StrCat(path_, " is no database of etcd's"));
  }
  if (Load<uint64_t>(*bytes, 56) != Fnv1a(bytes->substr(0, 56))) {
    return Damaged(offset, "the checksum of its meta page does not match");
  }
  if (const auto version = Load<uint32_t>(*bytes, 4); version != kVersion) {
    return absl::FailedPreconditionError(StrCat("etcd database ", path_, " has version ", version,
                                                "; this program reads version ", kVersion));
  }
  Meta meta;
  meta.page_size = Load<uint32_t>(*bytes, 8);
  meta.root = Load<uint64_t>(*bytes, 16);
  meta.pages = Load<uint64_t>(*bytes, 40);
  meta.transaction = Load<uint64_t>(*bytes, 48);
  if (meta.page_size < kPageSizeMin || meta.page_size > kPageSizeMax ||
      (meta.page_size & (meta.page_size - 1)) != 0) {
    return Damaged(offset, StrCat("a page size of ", meta.page_size));
  }
  return meta;
}

absl::Status BboltFile::ReadMetas() {
  const absl::StatusOr<Meta> first = ReadMeta(0);
  absl::StatusOr<Meta> second = absl::NotFoundError("");
  if (first.ok()) {
    second = ReadMeta(first->page_size);
  } else {
    // Where the other one is depends on the page size, which only it knows.
    for (uint64_t size = kPageSizeMin; !second.ok() && size <= kPageSizeMax; size *= 2) {
      second = ReadMeta(size);
      if (second.ok() && second->page_size != size) second = absl::NotFoundError("");
    }
  }
  if (!first.ok() && !second.ok()) return first.status();
  meta_ =
      !second.ok() || (first.ok() && first->transaction > second->transaction) ? *first : *second;
  if (meta_.pages < 2 || meta_.pages > size_ / meta_.page_size) {
    return Damaged(size_, StrCat("it is cut short: ", size_, " bytes for ", meta_.pages,
                                 " pages of ", meta_.page_size));
  }
  return absl::OkStatus();
}

absl::Status BboltFile::Walk(uint64_t page, int depth, std::string* last, VisitElement visit) {
  if (page < 2 || page >= meta_.pages) {
    return Damaged(0, StrCat("a reference to page ", page, " of ", meta_.pages));
  }
  const uint64_t offset = page * meta_.page_size;
  if (depth > kDepthMax) return Damaged(offset, "a tree that is too deep");
  if (seen_[page]) return Damaged(offset, StrCat("page ", page, " is referred to twice"));
  seen_[page] = true;
  KEEL_ASSIGN_OR_RETURN(std::string bytes, file_->Read(offset, meta_.page_size));
  if (bytes.size() < meta_.page_size) return Damaged(offset, "it is cut short");
  if (Load<uint64_t>(bytes, 0) != page) {
    return Damaged(offset, StrCat("page ", page, " says it is ", Load<uint64_t>(bytes, 0)));
  }
  if (const uint64_t overflow = Load<uint32_t>(bytes, 12); overflow > 0) {
    if (overflow >= meta_.pages - page) return Damaged(offset, "an overflow beyond the end");
    KEEL_ASSIGN_OR_RETURN(bytes, file_->Read(offset, (overflow + 1) * meta_.page_size));
    if (bytes.size() < (overflow + 1) * meta_.page_size) {
      return Damaged(offset, "it is cut short");
    }
  }
  return WalkPage(bytes, offset, depth, last, visit);
}

absl::Status BboltFile::WalkPage(std::string_view bytes, uint64_t offset, int depth,
                                 std::string* last, VisitElement visit) {
  if (bytes.size() < kPageHeader) return Damaged(offset, "a page without a header");
  const auto flags = Load<uint16_t>(bytes, 8);
  const auto count = Load<uint16_t>(bytes, 10);
  if (flags != kBranchPage && flags != kLeafPage) {
    return Damaged(offset, StrCat("a page of kind ", flags, " inside a tree"));
  }
  for (uint16_t i = 0; i < count; ++i) {
    const uint64_t at = kPageHeader + uint64_t{i} * kElement;
    const auto raw = Slice(bytes, at, kElement);
    if (!raw) return Damaged(offset + at, "an element beyond the end of its page");
    const bool leaf = flags == kLeafPage;
    Element element;
    const uint64_t position = at + Load<uint32_t>(*raw, leaf ? 4 : 0);
    const uint64_t key_size = Load<uint32_t>(*raw, leaf ? 8 : 4);
    const auto key = Slice(bytes, position, key_size);
    if (!key) return Damaged(offset + at, "a key beyond the end of its page");
    element.key = *key;
    if (!leaf) {
      element.page = Load<uint64_t>(*raw, 8);
      KEEL_RETURN_IF_ERROR(Walk(element.page, depth + 1, last, visit));
      continue;
    }
    element.flags = Load<uint32_t>(*raw, 0);
    const auto value = Slice(bytes, position + key_size, Load<uint32_t>(*raw, 12));
    if (!value) return Damaged(offset + at, "a value beyond the end of its page");
    element.value = *value;
    if (key->empty() || *key <= *last) return Damaged(offset + at, "keys out of order");
    last->assign(*key);
    KEEL_RETURN_IF_ERROR(visit(element, offset));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> BboltFile::ForEach(std::string_view bucket, Visit visit) {
  std::string found;
  uint64_t found_at = 0;
  std::string last;
  seen_.assign(meta_.pages, false);
  KEEL_RETURN_IF_ERROR(Walk(meta_.root, 0, &last, [&](const Element& element, uint64_t offset) {
    if (element.key == bucket && element.flags == kBucketLeaf) {
      found = element.value;
      found_at = offset;
    }
    return absl::OkStatus();
  }));
  if (found_at == 0) return false;
  if (found.size() < kBucketHeader) return Damaged(found_at, "a bucket without a header");
  last.clear();
  const auto each = [&](const Element& element, uint64_t offset) {
    if (element.flags != 0) return Damaged(offset, StrCat("a bucket inside bucket ", bucket));
    const absl::Status visited = visit(element.key, element.value);
    return absl::IsDataLoss(visited) ? Damaged(offset, base::ToStd(visited.message())) : visited;
  };
  const auto root = Load<uint64_t>(found, 0);
  if (root == 0) {
    KEEL_RETURN_IF_ERROR(
        WalkPage(std::string_view(found).substr(kBucketHeader), found_at, 0, &last, each));
  } else {
    KEEL_RETURN_IF_ERROR(Walk(root, 0, &last, each));
  }
  return true;
}

}  // namespace keel::kvstore
