// What the tests of the log share: a folder, files that fail, entries, a log on a ManualLoop.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/manual_loop.h"
#include "base/strings.h"
#include "raft/log/log.h"

namespace keel::raft {

// In memory where the system offers that: no test here needs a disk to be slow.
class TempDir {
 public:
  explicit TempDir(const std::string& name)
      : path_((::access("/dev/shm", W_OK) == 0 ? std::string("/dev/shm") : ::testing::TempDir()) +
              "/keel_" + name + "_" + std::to_string(::getpid())) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

// Delegates to the real files; fails what it is told to.
class FailingFileSystem final : public base::FileSystem {
 public:
  bool fail_sync = false;
  bool fail_write = false;
  bool fail_create = false;  // of new files only: the disk is full, what is there has its blocks
  int syncs_after_failure = 0;

  class FailingFile final : public base::File {
   public:
    FailingFile(std::unique_ptr<base::File> file, FailingFileSystem* fs)
        : file_(std::move(file)), fs_(fs) {}
    absl::Status Write(uint64_t offset, std::string_view data) override {
      if (fs_->fail_write) return absl::ResourceExhaustedError("no space");
      return file_->Write(offset, data);
    }
    absl::Status WriteV(uint64_t offset, std::span<const std::string_view> parts) override {
      if (fs_->fail_write) return absl::ResourceExhaustedError("no space");
      return file_->WriteV(offset, parts);
    }
    absl::StatusOr<std::string> Read(uint64_t offset, size_t size) const override {
      return file_->Read(offset, size);
    }
    absl::Status Sync() override {
      if (!fs_->fail_sync) return file_->Sync();
      ++fs_->syncs_after_failure;
      return absl::InternalError("fdatasync: Input/output error");
    }
    absl::Status Truncate(uint64_t size) override { return file_->Truncate(size); }
    absl::StatusOr<uint64_t> Size() const override { return file_->Size(); }
    const std::string& path() const override { return file_->path(); }

   private:
    std::unique_ptr<base::File> file_;
    FailingFileSystem* fs_;
  };

  absl::StatusOr<std::unique_ptr<base::File>> Open(const std::string& path, Mode mode) override {
    if (fail_create && mode == Mode::kCreateEmpty) return absl::ResourceExhaustedError("no space");
    auto file = real_.Open(path, mode);
    if (!file.ok()) return file.status();
    return std::make_unique<FailingFile>(*std::move(file), this);
  }
  absl::Status CreateDirs(const std::string& path) override { return real_.CreateDirs(path); }
  absl::StatusOr<std::vector<std::string>> List(const std::string& dir) override {
    return real_.List(dir);
  }
  bool Exists(const std::string& path) override { return real_.Exists(path); }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return real_.Rename(from, to);
  }
  absl::Status Remove(const std::string& path) override { return real_.Remove(path); }
  absl::Status RemoveAll(const std::string& path) override { return real_.RemoveAll(path); }
  absl::Status SyncDir(const std::string& dir) override { return real_.SyncDir(dir); }
  absl::StatusOr<std::unique_ptr<base::FileLock>> Lock(const std::string& path) override {
    return real_.Lock(path);
  }
  absl::StatusOr<Space> GetSpace(const std::string& path) override { return real_.GetSpace(path); }

 private:
  base::FileSystem& real_ = base::PosixFileSystem();
};

inline Entry MakeEntry(Index index, Term term, std::string data) {
  return {term, index, EntryType::kNormal, std::make_shared<const std::string>(std::move(data))};
}

inline std::vector<Entry> MakeEntries(Index first, Index last, Term term, size_t bytes = 10) {
  std::vector<Entry> out;
  for (Index i = first; i <= last; ++i) {
    std::string data = base::StrCat(i, "@", term, ":");
    data.resize(std::max(bytes, data.size()), static_cast<char>('a' + i % 26));
    out.push_back(MakeEntry(i, term, std::move(data)));
  }
  return out;
}

// A log whose every loop is one ManualLoop.
struct TestLog {
  base::ManualLoop loop;
  absl::Status error;
  std::unique_ptr<Log> log;

  static LogOptions Options(const std::string& dir) {
    LogOptions options;
    options.dir = dir;
    options.cluster_id = 0xc1;
    options.member_id = 0xa1;
    options.segment_bytes = 1 << 20;
    options.random = [] { return 0x0123456789abcdefull; };
    options.initial_conf.voters = {0xa1, 0xa2, 0xa3};
    return options;
  }

  absl::Status Open(LogOptions options) {
    log.reset();
    options.loop = &loop;
    options.write_loop = &loop;
    options.on_error = [this](absl::Status status) { error = std::move(status); };
    auto opened = Log::Open(std::move(options));
    if (!opened.ok()) return opened.status();
    log = *std::move(opened);
    loop.RunUntilIdle();
    return absl::OkStatus();
  }

  // Appends and waits; whether it became durable.
  bool Append(std::vector<Entry> entries, std::optional<HardState> state = std::nullopt) {
    bool durable = false;
    LogWrite write;
    write.entries = std::move(entries);
    write.hard_state = state;
    log->Append(std::move(write), [&] { durable = true; });
    loop.RunUntilIdle();
    return durable;
  }

  std::vector<Entry> All() {
    if (log->LastIndex() < log->FirstIndex()) return {};
    auto entries = log->Entries(log->FirstIndex(), log->LastIndex() + 1, UINT64_MAX);
    EXPECT_TRUE(entries.ok()) << entries.status();
    return entries.ok() ? *std::move(entries) : std::vector<Entry>{};
  }
};

inline bool Same(const Entry& a, const Entry& b) {
  return a.term == b.term && a.index == b.index && a.type == b.type && *a.data == *b.data;
}

inline void ExpectSame(const std::vector<Entry>& got, const std::vector<Entry>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_TRUE(Same(got[i], want[i]))
        << "index " << want[i].index << " got " << got[i].index << "@" << got[i].term;
  }
}

}  // namespace keel::raft
