// A state machine driven without Raft: commands in, results out, in tests.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/temp_dir.h"
#include "kvstore/apply/command.pb.h"
#include "kvstore/apply/read.h"
#include "kvstore/apply/state_machine.h"

namespace keel::kvstore {

using base::TempDir;

struct RecordingSink : ApplySink {
  std::vector<ApplyResult> results;
  std::vector<std::string> notices;
  std::function<void(const std::string& user)> on_tokens_revoked;  // may be empty

  void OnResults(std::span<ApplyResult> batch) override {
    for (ApplyResult& result : batch) results.push_back(std::move(result));
  }
  void OnLeaseGranted(const Lease& lease) override {
    notices.push_back("granted " + std::to_string(lease.id));
  }
  void OnLeaseRevoked(int64_t id) override { notices.push_back("revoked " + std::to_string(id)); }
  void OnLeaseCheckpointed(const Lease& lease) override {
    notices.push_back("checkpointed " + std::to_string(lease.id) + " " +
                      std::to_string(lease.remaining_ttl));
  }
  void OnMembersChanged() override { notices.push_back("members"); }
  void OnAlarmsChanged() override { notices.push_back("alarms"); }
  void OnClusterVersionChanged() override { notices.push_back("version"); }
  void OnCompacted(int64_t revision) override {
    notices.push_back("compacted " + std::to_string(revision));
  }
  void OnTokensRevoked(const std::string& user) override {
    if (on_tokens_revoked) on_tokens_revoked(user);
  }
  void OnReset() override { notices.push_back("reset"); }
};

struct RecordingSubscriber : FeedSubscriber {
  FeedBatch revisions;
  std::vector<int64_t> resets;

  void OnRevisions(std::shared_ptr<const FeedBatch> batch) override {
    revisions.insert(revisions.end(), batch->begin(), batch->end());
  }
  void OnReset(int64_t revision) override { resets.push_back(revision); }
};

// ---- commands

inline kv::Command PutCommand(std::string key, std::string value, int64_t lease = 0) {
  kv::Command command;
  command.mutable_put()->set_key(std::move(key));
  command.mutable_put()->set_value(std::move(value));
  command.mutable_put()->set_lease(lease);
  return command;
}
inline kv::Command DeleteCommand(std::string key, std::string range_end = "") {
  kv::Command command;
  command.mutable_delete_range()->set_key(std::move(key));
  command.mutable_delete_range()->set_range_end(std::move(range_end));
  return command;
}
inline kv::Command CompactCommand(int64_t revision) {
  kv::Command command;
  command.mutable_compaction()->set_revision(revision);
  return command;
}
inline kv::Command GrantCommand(int64_t id, int64_t ttl) {
  kv::Command command;
  command.mutable_lease_grant()->set_id(id);
  command.mutable_lease_grant()->set_ttl(ttl);
  return command;
}
inline kv::Command RevokeCommand(int64_t id) {
  kv::Command command;
  command.mutable_lease_revoke()->set_id(id);
  return command;
}

// A member that decides alone.
class TestMachine {
 public:
  static constexpr uint64_t kMember = 7;

  explicit TestMachine(const std::string& dir, bool crash_on_close = false,
                       std::vector<Member> members = {}) {
    KvStateMachine::Options options;
    options.store.dir = dir;
    options.store.crash_on_close = crash_on_close;
    options.store.write_buffer_bytes = 4 << 20;
    options.store.block_cache_bytes = 4 << 20;
    // The index of counts at work in the smallest of stores.
    options.store.counts = {.block_keys = 2, .walk_keys = 0, .min_keys = 0};
    options.member_id = kMember;
    options.initial_members = std::move(members);
    machine_ = KvStateMachine::Create(std::move(options), &sink);
    auto opened = machine_->Open();
    KEEL_CHECK(opened.ok(), opened.status().ToString());
    applied = *std::move(opened);
  }

  KvStateMachine* operator->() { return machine_.get(); }

  static raft::CommittedEntry Entry(raft::Index index, kv::Command command) {
    command.set_id(index);
    command.set_proposer(kMember);
    raft::CommittedEntry committed;
    committed.entry.term = 1;
    committed.entry.index = index;
    committed.entry.data = std::make_shared<const std::string>(command.SerializeAsString());
    return committed;
  }

  // Applies commands as one batch; returns their results.
  std::vector<ApplyResult> Run(const std::vector<kv::Command>& commands) {
    std::vector<raft::CommittedEntry> entries;
    for (const kv::Command& command : commands) {
      entries.push_back(Entry(applied.index + 1 + entries.size(), command));
    }
    return Run(entries);
  }
  std::vector<ApplyResult> Run(const std::vector<raft::CommittedEntry>& entries) {
    sink.results.clear();
    const absl::Status status = machine_->Apply(entries);
    KEEL_CHECK(status.ok(), status.ToString());
    applied.index = entries.back().entry.index;
    return std::move(sink.results);
  }
  ApplyResult Run(const kv::Command& command) {
    std::vector<ApplyResult> results = Run(std::vector<kv::Command>{command});
    KEEL_CHECK(results.size() == 1 && results[0].id == applied.index);
    return std::move(results[0]);
  }

  template <typename Response>
  static Response Parse(const std::string& body) {
    Response response;
    KEEL_CHECK(response.ParseFromString(body));
    return response;
  }
  etcdserverpb::TxnResponse RunTxn(const etcdserverpb::TxnRequest& request) {
    kv::Command command;
    *command.mutable_txn() = request;
    const ApplyResult result = Run(command);
    KEEL_CHECK(result.status.ok(), result.status.ToString());
    return Parse<etcdserverpb::TxnResponse>(result.body);
  }
  absl::StatusOr<etcdserverpb::RangeResponse> Range(const etcdserverpb::RangeRequest& request) {
    std::string body;
    if (absl::Status status = AppendRange(*machine_->view(), request, &body); !status.ok())
      return status;
    return Parse<etcdserverpb::RangeResponse>(body);
  }
  // The value of a key now, or "(none)".
  std::string Get(const std::string& key, int64_t revision = 0) {
    etcdserverpb::RangeRequest request;
    request.set_key(key);
    request.set_revision(revision);
    const auto response = Range(request);
    if (!response.ok()) return response.status().ToString();
    return response->kvs_size() == 0 ? "(none)" : response->kvs(0).value();
  }
  uint32_t HashKv(int64_t revision = 0) {
    auto hash = machine_->view()->HashKv(revision);
    KEEL_CHECK(hash.ok(), hash.status().ToString());
    return hash->hash;
  }

  RecordingSink sink;
  raft::AppliedState applied;

 private:
  std::unique_ptr<KvStateMachine> machine_;
};

}  // namespace keel::kvstore
