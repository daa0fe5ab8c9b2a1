// What the tests of the log share: a folder, entries, a log on a ManualLoop.
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
