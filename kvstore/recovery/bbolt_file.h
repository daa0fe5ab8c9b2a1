// Reads the file in which etcd keeps its store: a bbolt database, a copy-on-write
// B+tree of pages (go.etcd.io/bbolt; bucket.go, page.go and tx.go are its
// format). Nothing is written.
//
//   KEEL_ASSIGN_OR_RETURN(auto file, BboltFile::Open(fs, "snapshot.db", BboltHash::kRequired));
//   KEEL_ASSIGN_OR_RETURN(bool there, file->ForEach("key",
//       [&](std::string_view key, std::string_view value) { ...; return absl::OkStatus(); }));
//
// What is relied on, little-endian:
//   page        id 8, flags 2 (1 branch, 2 leaf, 4 meta), count 2, overflow 4; then elements. Page
//   n
//               is at n times the page size, and so many pages longer as its overflow says.
//   meta        pages 0 and 1: magic ED0CDAED, version 2, page size 4, flags 4, root page 8,
//               sequence 8, freelist 8, pages in use 8, transaction 8, FNV-1a 64 of all that. The
//               intact one with the higher transaction counts.
//   branch      elements of 16: position of the key 4, its size 4, page 8
//   leaf        elements of 16: flags 4 (1: the value is a bucket), position 4, sizes of key and
//               value 4 each. Positions count from the element.
//   bucket      root page 8 (0: a page follows inline), sequence 8
// `etcdctl snapshot save` appends the SHA-256 of the file, which makes its length odd.
//
// Every position, size, count and page number is checked against the file, keys must ascend, and
// no page is read twice: a damaged file is reported with the offset, however it is damaged.
//
// Thread-safety: none. Calls block on the disk. Memory: the pages on one path from the root.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"

namespace keel::kvstore {

enum class BboltHash : uint8_t {
  kRequired,
  kSkipped,  // a member's own db file has none
};

class BboltFile {
 public:
  // Reads the whole file when the hash is required. Errors name the file: NotFound, InvalidArgument
  // (no bbolt database, or no hash where one is required), FailedPrecondition (another version),
  // DataLoss.
  static absl::StatusOr<std::unique_ptr<BboltFile>> Open(base::FileSystem& fs,
                                                         const std::string& path, BboltHash hash);

  using Visit = absl::FunctionRef<absl::Status(std::string_view key, std::string_view value)>;
  // Hands over what a bucket of the root holds, in the order of keys; false when there is no such
  // bucket. Errors: DataLoss with the offset; an error of `visit` ends it and is returned with the
  // offset of the page when it is DataLoss.
  absl::StatusOr<bool> ForEach(std::string_view bucket, Visit visit);

  uint64_t bytes() const { return size_; }  // of the database, without the hash

 private:
  struct Meta {
    uint64_t page_size = 0;
    uint64_t root = 0;
    uint64_t pages = 0;
    uint64_t transaction = 0;
  };
  struct Element {
    uint32_t flags = 0;
    std::string_view key;
    std::string_view value;  // of a leaf
    uint64_t page = 0;       // of a branch
  };
  using VisitElement = absl::FunctionRef<absl::Status(const Element&, uint64_t page_offset)>;

  BboltFile(std::string path, std::unique_ptr<base::File> file)
      : path_(std::move(path)), file_(std::move(file)) {}

  absl::Status CheckHash(uint64_t file_size);
  absl::Status ReadMetas();
  absl::StatusOr<Meta> ReadMeta(uint64_t offset) const;
  absl::Status Walk(uint64_t page, int depth, std::string* last, VisitElement visit);
  // `bytes` is a page, or one inside a bucket's value; `offset` is for the errors.
  absl::Status WalkPage(std::string_view bytes, uint64_t offset, int depth, std::string* last,
                        VisitElement visit);
  absl::Status Damaged(uint64_t offset, std::string_view what) const;

  const std::string path_;
  const std::unique_ptr<base::File> file_;
  uint64_t size_ = 0;
  Meta meta_;
  std::vector<bool> seen_;  // pages, within one walk
};

}  // namespace keel::kvstore
