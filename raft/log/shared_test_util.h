// A shared log on a ManualLoop, for the tests.
#pragma once

#include <map>

#include "raft/log/shared_log.h"
#include "raft/log/test_util.h"

namespace keel::raft {

struct TestSharedLog {
  base::ManualLoop loop;
  absl::Status error;
  int syncs = 0;
  std::unique_ptr<SharedLog> log;
  std::map<GroupId, std::unique_ptr<GroupLog>> groups;

  ~TestSharedLog() { groups.clear(); }

  static SharedLogOptions Options(const std::string& dir) {
    SharedLogOptions options;
    options.dir = dir;
    options.cluster_id = 0xc1;
    options.member_id = 0xa1;
    options.segment_bytes = 16 << 10;
    options.random = [] { return 0x0123456789abcdefull; };
    return options;
  }

  absl::Status Open(SharedLogOptions options) {
    groups.clear();
    log.reset();
    loop.RunUntilIdle();
    options.loop = &loop;
    options.write_loop = &loop;
    options.on_error = [this](absl::Status status) { error = std::move(status); };
    options.on_sync = [this](base::Duration) { ++syncs; };
    auto opened = SharedLog::Open(std::move(options));
    if (!opened.ok()) return opened.status();
    log = *std::move(opened);
    loop.RunUntilIdle();
    return absl::OkStatus();
  }

  GroupLog& Group(GroupId id) {
    auto& group = groups[id];
    if (group == nullptr) {
      ConfState conf;
      conf.voters = {0xa1};
      auto opened = log->OpenGroup(id, conf);
      EXPECT_TRUE(opened.ok()) << opened.status();
      group = *std::move(opened);
    }
    return *group;
  }

  // Appends and waits; whether it became durable.
  bool Append(GroupId id, std::vector<Entry> entries,
              std::optional<HardState> state = std::nullopt) {
    bool durable = false;
    LogWrite write;
    write.entries = std::move(entries);
    write.hard_state = state;
    Group(id).Append(std::move(write), [&] { durable = true; });
    loop.RunUntilIdle();
    return durable;
  }

  std::vector<Entry> All(GroupId id) {
    GroupLog& group = Group(id);
    if (group.LastIndex() < group.FirstIndex()) return {};
    auto entries = group.Entries(group.FirstIndex(), group.LastIndex() + 1, UINT64_MAX);
    EXPECT_TRUE(entries.ok()) << entries.status();
    return entries.ok() ? *std::move(entries) : std::vector<Entry>{};
  }
};

}  // namespace keel::raft
