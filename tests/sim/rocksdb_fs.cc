#include "tests/sim/rocksdb_fs.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"

namespace keel::sim {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;
using Mode = base::FileSystem::Mode;

IOStatus ToIo(const absl::Status& status) {
  const std::string text(base::ToStd(status.message()));
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return IOStatus::OK();
    case absl::StatusCode::kNotFound:
      return IOStatus::PathNotFound(text);
    case absl::StatusCode::kResourceExhausted:
      return IOStatus::NoSpace(text);
    default:
      return IOStatus::IOError(text);
  }
}

// Copies what `file` has at `offset` to `scratch`.
IOStatus ReadInto(const base::File& file, uint64_t offset, size_t size, Slice* result,
                  char* scratch) {
  const auto bytes = file.Read(offset, size);
  *result = Slice(scratch, 0);
  if (!bytes.ok()) return ToIo(bytes.status());
  std::copy(bytes->begin(), bytes->end(), scratch);
  *result = Slice(scratch, bytes->size());
  return IOStatus::OK();
}

class SequentialFile final : public rocksdb::FSSequentialFile {
 public:
  explicit SequentialFile(std::unique_ptr<base::File> file) : file_(std::move(file)) {}

  IOStatus Read(size_t size, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) override {
    const IOStatus status = ReadInto(*file_, offset_, size, result, scratch);
    offset_ += result->size();
    return status;
  }
  IOStatus Skip(uint64_t size) override {
    offset_ += size;
    return IOStatus::OK();
  }

 private:
  const std::unique_ptr<base::File> file_;
  uint64_t offset_ = 0;
};

class RandomAccessFile final : public rocksdb::FSRandomAccessFile {
 public:
  explicit RandomAccessFile(std::unique_ptr<base::File> file) : file_(std::move(file)) {}

  IOStatus Read(uint64_t offset, size_t size, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    return ReadInto(*file_, offset, size, result, scratch);
  }

 private:
  const std::unique_ptr<base::File> file_;
};

class WritableFile final : public rocksdb::FSWritableFile {
 public:
  WritableFile(std::unique_ptr<base::File> file, uint64_t size)
      : file_(std::move(file)), size_(size) {}

  using FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    const IOStatus status = ToIo(file_->Write(size_, {data.data(), data.size()}));
    if (status.ok()) size_ += data.size();
    return status;
  }
  IOStatus Truncate(uint64_t size, const IOOptions&, IODebugContext*) override {
    const IOStatus status = ToIo(file_->Truncate(size));
    if (status.ok()) size_ = size;
    return status;
  }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return ToIo(file_->Sync()); }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  bool IsSyncThreadSafe() const override { return true; }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return size_; }

 private:
  const std::unique_ptr<base::File> file_;
  uint64_t size_;
};

class Directory final : public rocksdb::FSDirectory {
 public:
  Directory(SimDisk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}

  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return ToIo(disk_.SyncDir(path_)); }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  SimDisk& disk_;
  const std::string path_;
};

class Lock final : public rocksdb::FileLock {
 public:
  explicit Lock(std::unique_ptr<base::FileLock> lock) : lock_(std::move(lock)) {}

 private:
  const std::unique_ptr<base::FileLock> lock_;
};

class NoLogger final : public rocksdb::Logger {
 public:
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
};

class Files final : public rocksdb::FileSystem {
 public:
  explicit Files(SimDisk& disk) : disk_(disk) {}

  const char* Name() const override { return "SimDisk"; }

  IOStatus NewSequentialFile(const std::string& path, const FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* file,
                             IODebugContext*) override {
    auto opened = disk_.Open(path, Mode::kRead);
    if (!opened.ok()) return ToIo(opened.status());
    *file = std::make_unique<SequentialFile>(*std::move(opened));
    return IOStatus::OK();
  }

  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                               IODebugContext*) override {
    auto opened = disk_.Open(path, Mode::kRead);
    if (!opened.ok()) return ToIo(opened.status());
    *file = std::make_unique<RandomAccessFile>(*std::move(opened));
    return IOStatus::OK();
  }

  IOStatus NewWritableFile(const std::string& path, const FileOptions&,
                           std::unique_ptr<rocksdb::FSWritableFile>* file,
                           IODebugContext*) override {
    // A note of the settings, which RocksDB reads back to check it, and nobody else ever: most of
    // the time that a start takes. It does without.
    if (path.find("/OPTIONS-") != std::string::npos) return IOStatus::NotSupported(path);
    return OpenForWriting(path, Mode::kCreateEmpty, file);
  }

  IOStatus ReopenWritableFile(const std::string& path, const FileOptions&,
                              std::unique_ptr<rocksdb::FSWritableFile>* file,
                              IODebugContext*) override {
    return OpenForWriting(path, Mode::kCreate, file);
  }

  IOStatus NewDirectory(const std::string& path, const IOOptions&,
                        std::unique_ptr<rocksdb::FSDirectory>* directory,
                        IODebugContext*) override {
    if (!disk_.IsDir(path)) return IOStatus::IOError(path, "no such folder");
    *directory = std::make_unique<Directory>(disk_, path);
    return IOStatus::OK();
  }

  IOStatus FileExists(const std::string& path, const IOOptions&, IODebugContext*) override {
    if (disk_.Exists(path)) return IOStatus::OK();
    // What a dead disk holds is not known.
    return disk_.dead() ? IOStatus::IOError(path, "the disk has died") : IOStatus::NotFound(path);
  }

  IOStatus GetChildren(const std::string& path, const IOOptions&, std::vector<std::string>* names,
                       IODebugContext*) override {
    auto listed = disk_.List(path);
    if (!listed.ok()) return ToIo(listed.status());
    *names = *std::move(listed);
    return IOStatus::OK();
  }

  IOStatus DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) override {
    return ToIo(disk_.Remove(path));
  }

  IOStatus CreateDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    if (disk_.Exists(path)) return IOStatus::IOError(path, "exists");
    return ToIo(disk_.CreateDirs(path));
  }

  IOStatus CreateDirIfMissing(const std::string& path, const IOOptions&, IODebugContext*) override {
    return ToIo(disk_.CreateDirs(path));
  }

  IOStatus DeleteDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return ToIo(disk_.Remove(path));
  }

  IOStatus GetFileSize(const std::string& path, const IOOptions&, uint64_t* size,
                       IODebugContext*) override {
    const auto found = disk_.FileSize(path);
    if (!found.ok()) return ToIo(found.status());
    *size = *found;
    return IOStatus::OK();
  }

  IOStatus GetFileModificationTime(const std::string&, const IOOptions&, uint64_t* time,
                                   IODebugContext*) override {
    *time = 0;
    return IOStatus::OK();
  }

  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&,
                      IODebugContext*) override {
    return ToIo(disk_.Rename(from, to));
  }

  IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions&,
                    IODebugContext*) override {
    return ToIo(disk_.Link(from, to));
  }

  IOStatus NumFileLinks(const std::string& path, const IOOptions&, uint64_t* count,
                        IODebugContext*) override {
    const auto links = disk_.LinkCount(path);
    if (!links.ok()) return ToIo(links.status());
    *count = *links;
    return IOStatus::OK();
  }

  IOStatus LockFile(const std::string& path, const IOOptions&, rocksdb::FileLock** lock,
                    IODebugContext*) override {
    auto held = disk_.Lock(path);
    if (!held.ok()) return ToIo(held.status());
    *lock = new Lock(*std::move(held));
    return IOStatus::OK();
  }

  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) override {
    delete lock;
    return IOStatus::OK();
  }

  IOStatus GetTestDirectory(const IOOptions&, std::string* path, IODebugContext*) override {
    *path = "/test";
    return ToIo(disk_.CreateDirs(*path));
  }

  IOStatus NewLogger(const std::string&, const IOOptions&, std::shared_ptr<rocksdb::Logger>* logger,
                     IODebugContext*) override {
    *logger = std::make_shared<NoLogger>();
    return IOStatus::OK();
  }

  IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* absolute,
                           IODebugContext*) override {
    *absolute = path;
    return IOStatus::OK();
  }

  IOStatus IsDirectory(const std::string& path, const IOOptions&, bool* is_dir,
                       IODebugContext*) override {
    *is_dir = disk_.IsDir(path);
    return IOStatus::OK();
  }

 private:
  IOStatus OpenForWriting(const std::string& path, Mode mode,
                          std::unique_ptr<rocksdb::FSWritableFile>* file) {
    auto opened = disk_.Open(path, mode);
    if (!opened.ok()) return ToIo(opened.status());
    const auto size = (*opened)->Size();
    if (!size.ok()) return ToIo(size.status());
    *file = std::make_unique<WritableFile>(*std::move(opened), *size);
    return IOStatus::OK();
  }

  SimDisk& disk_;
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> NewRocksDbFiles(SimDisk& disk) {
  return std::make_shared<Files>(disk);
}

}  // namespace keel::sim
