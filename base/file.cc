#include "base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <filesystem>

#include "base/status.h"
#include "base/strings.h"

namespace keel::base {
namespace {

namespace stdfs = std::filesystem;

absl::Status ErrorCodeStatus(const std::error_code& ec, std::string_view what) {
  return ErrnoStatus(ec.value(), what);
}

class PosixFile final : public File {
 public:
  PosixFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~PosixFile() override { ::close(fd_); }

  absl::Status Write(uint64_t offset, std::string_view data) override {
    while (!data.empty()) {
      const ssize_t n = ::pwrite(fd_, data.data(), data.size(), static_cast<off_t>(offset));
      if (n < 0) {
        if (errno == EINTR) continue;
        return ErrnoStatus(errno, StrCat("write ", path_));
      }
      data.remove_prefix(static_cast<size_t>(n));
      offset += static_cast<uint64_t>(n);
    }
    return absl::OkStatus();
  }

  absl::Status WriteV(uint64_t offset, std::span<const std::string_view> parts) override {
    std::vector<iovec> iov;
    iov.reserve(parts.size());
    for (const std::string_view part : parts) {
      if (!part.empty()) iov.push_back({const_cast<char*>(part.data()), part.size()});
    }
    size_t at = 0;
    while (at < iov.size()) {
      const int count = static_cast<int>(std::min<size_t>(iov.size() - at, IOV_MAX));
      ssize_t n = ::pwritev(fd_, iov.data() + at, count, static_cast<off_t>(offset));
      if (n < 0) {
        if (errno == EINTR) continue;
        return ErrnoStatus(errno, StrCat("write ", path_));
      }
      offset += static_cast<uint64_t>(n);
      while (n > 0) {  // A short write leaves part of a vector.
        const size_t step = std::min(static_cast<size_t>(n), iov[at].iov_len);
        iov[at].iov_base = static_cast<char*>(iov[at].iov_base) + step;
        iov[at].iov_len -= step;
        n -= static_cast<ssize_t>(step);
        if (iov[at].iov_len == 0) ++at;
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Read(uint64_t offset, size_t size) const override {
    std::string out(size, '\0');
    KEEL_ASSIGN_OR_RETURN(const size_t got, ReadInto(offset, out));
    out.resize(got);
    return out;
  }

  absl::StatusOr<size_t> ReadInto(uint64_t offset, std::span<char> out) const override {
    size_t got = 0;
    while (got < out.size()) {
      const ssize_t n =
          ::pread(fd_, out.data() + got, out.size() - got, static_cast<off_t>(offset + got));
      if (n < 0) {
        if (errno == EINTR) continue;
        return ErrnoStatus(errno, StrCat("read ", path_));
      }
      if (n == 0) break;
      got += static_cast<size_t>(n);
    }
    return got;
  }

  absl::Status Sync() override {
    if (::fdatasync(fd_) != 0) return ErrnoStatus(errno, StrCat("fdatasync ", path_));
    return absl::OkStatus();
  }

  absl::Status Truncate(uint64_t size) override {
    if (::ftruncate(fd_, static_cast<off_t>(size)) != 0) {
      return ErrnoStatus(errno, StrCat("truncate ", path_));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> Size() const override {
    struct stat st {};
    if (::fstat(fd_, &st) != 0) return ErrnoStatus(errno, StrCat("stat ", path_));
    return static_cast<uint64_t>(st.st_size);
  }

  const std::string& path() const override { return path_; }

 private:
  const int fd_;
  const std::string path_;
};

class PosixLock final : public FileLock {
 public:
  explicit PosixLock(int fd) : fd_(fd) {}
  ~PosixLock() override { ::close(fd_); }

 private:
  const int fd_;
};

class Posix final : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, Mode mode) override {
    int flags = O_CLOEXEC;
    switch (mode) {
      case Mode::kRead:
        flags |= O_RDONLY;
        break;
      case Mode::kReadWrite:
        flags |= O_RDWR;
        break;
      case Mode::kCreate:
        flags |= O_RDWR | O_CREAT;
        break;
      case Mode::kCreateEmpty:
        flags |= O_RDWR | O_CREAT | O_TRUNC;
        break;
    }
    const int fd = ::open(path.c_str(), flags, 0600);
    if (fd < 0) return ErrnoStatus(errno, StrCat("open ", path));
    return std::make_unique<PosixFile>(fd, path);
  }

  absl::Status CreateDirs(const std::string& path) override {
    std::error_code ec;
    std::vector<stdfs::path> fresh;  // innermost first
    for (stdfs::path dir = stdfs::path(path).lexically_normal();
         !dir.empty() && !stdfs::exists(dir, ec); dir = dir.parent_path()) {
      if (dir.has_filename()) fresh.push_back(dir);  // not the empty name behind a last slash
    }
    if (fresh.empty()) {
      stdfs::create_directories(path, ec);
      return ec ? ErrorCodeStatus(ec, StrCat("mkdir ", path)) : absl::OkStatus();
    }
    stdfs::create_directories(path, ec);
    if (ec) return ErrorCodeStatus(ec, StrCat("mkdir ", path));
    stdfs::permissions(path, stdfs::perms::owner_all, ec);
    // Else a crash could take the folder, and with it what was synced inside.
    for (const stdfs::path& dir : fresh) {
      const std::string parent = dir.parent_path().string();
      KEEL_RETURN_IF_ERROR(SyncDir(parent.empty() ? "." : parent));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::string>> List(const std::string& dir) override {
    std::vector<std::string> names;
    std::error_code ec;
    for (stdfs::directory_iterator it(dir, ec), end; !ec && it != end; it.increment(ec)) {
      names.push_back(it->path().filename().string());
    }
    if (ec) return ErrorCodeStatus(ec, StrCat("list ", dir));
    std::sort(names.begin(), names.end());
    return names;
  }

  bool Exists(const std::string& path) override {
    std::error_code ec;
    return stdfs::exists(path, ec);
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) {
      return ErrnoStatus(errno, StrCat("rename ", from, " to ", to));
    }
    return absl::OkStatus();
  }

  absl::Status Remove(const std::string& path) override {
    std::error_code ec;
    if (!stdfs::remove(path, ec) || ec) {
      return ec ? ErrorCodeStatus(ec, StrCat("remove ", path))
                : absl::NotFoundError(StrCat("remove ", path, ": no such file"));
    }
    return absl::OkStatus();
  }

  absl::Status RemoveAll(const std::string& path) override {
    std::error_code ec;
    stdfs::remove_all(path, ec);
    return ec ? ErrorCodeStatus(ec, StrCat("remove ", path)) : absl::OkStatus();
  }

  absl::Status SyncDir(const std::string& dir) override {
    const int fd = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return ErrnoStatus(errno, StrCat("open ", dir));
    const int rc = ::fsync(fd);
    const int error = errno;
    ::close(fd);
    return rc == 0 ? absl::OkStatus() : ErrnoStatus(error, StrCat("fsync ", dir));
  }

  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return ErrnoStatus(errno, StrCat("open ", path));
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      ::close(fd);
      if (error == EWOULDBLOCK) {
        return absl::UnavailableError(StrCat(path, " is held by another process"));
      }
      return ErrnoStatus(error, StrCat("lock ", path));
    }
    return std::make_unique<PosixLock>(fd);
  }

  absl::StatusOr<Space> GetSpace(const std::string& path) override {
    struct statvfs st {};
    if (::statvfs(path.c_str(), &st) != 0) {
      return ErrnoStatus(errno, StrCat("statvfs ", path));
    }
    return Space{uint64_t{st.f_bavail} * st.f_frsize, uint64_t{st.f_blocks} * st.f_frsize};
  }
};

}  // namespace

absl::StatusOr<size_t> File::ReadInto(uint64_t offset, std::span<char> out) const {
  KEEL_ASSIGN_OR_RETURN(const std::string bytes, Read(offset, out.size()));
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return bytes.size();
}

FileSystem& PosixFileSystem() {
  static Posix& fs = *new Posix;
  return fs;
}

absl::StatusOr<std::string> ReadFile(FileSystem& fs, const std::string& path) {
  KEEL_ASSIGN_OR_RETURN(auto file, fs.Open(path, FileSystem::Mode::kRead));
  KEEL_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  return file->Read(0, size);
}

absl::Status WriteFileAtomic(FileSystem& fs, const std::string& path, std::string_view data) {
  const std::string temp = StrCat(path, ".tmp");
  {
    // Never one of an earlier life: after a failed sync no later one may write it.
    if (fs.Exists(temp)) KEEL_RETURN_IF_ERROR(fs.Remove(temp));
    KEEL_ASSIGN_OR_RETURN(auto file, fs.Open(temp, FileSystem::Mode::kCreateEmpty));
    KEEL_RETURN_IF_ERROR(file->Write(0, data));
    KEEL_RETURN_IF_ERROR(file->Sync());
  }
  KEEL_RETURN_IF_ERROR(fs.Rename(temp, path));
  const size_t slash = path.rfind('/');
  return fs.SyncDir(slash == std::string::npos ? "." : path.substr(0, std::max<size_t>(slash, 1)));
}

}  // namespace keel::base
