#include "kvstore/mvcc/space_guard.h"

#include <algorithm>
#include <string>

#include "base/file.h"
#include "base/strings.h"
#include "rocksdb/file_system.h"

namespace keel::kvstore {

namespace {

bool IsTable(const std::string& path) {
  constexpr std::string_view kEnding = ".sst";
  return path.size() > kEnding.size() &&
         path.compare(path.size() - kEnding.size(), kEnding.size(), kEnding) == 0;
}

class GuardedFiles final : public rocksdb::FileSystemWrapper {
 public:
  GuardedFiles(const std::shared_ptr<rocksdb::FileSystem>& base, uint64_t bytes)
      : FileSystemWrapper(base), bytes_(bytes) {}

  const char* Name() const override { return "SpaceGuard"; }

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    if (IsTable(path)) {
      const auto space = base::PosixFileSystem().GetSpace(path.substr(0, path.rfind('/')));
      if (space.ok()) {
        const uint64_t wanted = std::min(bytes_, space->total_bytes / 16);
        if (space->free_bytes < wanted) {
          return rocksdb::IOStatus::NoSpace(
              base::StrCat(path, " is not begun: ", space->free_bytes, " bytes are free and ",
                           wanted, " are wanted"));
        }
      }
    }
    return FileSystemWrapper::NewWritableFile(path, options, file, debug);
  }

 private:
  const uint64_t bytes_;
};

}  // namespace

SpaceGuard::SpaceGuard(rocksdb::Env* base, uint64_t bytes)
    : env_(rocksdb::NewCompositeEnv(
          std::make_shared<GuardedFiles>(base->GetFileSystem(), bytes))) {}

}  // namespace keel::kvstore
