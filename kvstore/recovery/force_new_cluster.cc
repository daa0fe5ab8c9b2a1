#include "kvstore/recovery/force_new_cluster.h"

#include <algorithm>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/manual_loop.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/apply/cluster_state.h"
#include "kvstore/apply/state_machine.h"
#include "kvstore/mvcc/store.h"
#include "raft/log/log.h"

namespace keel::kvstore {

namespace {

constexpr uint64_t kBatchBytes = 4 << 20;

// Nobody waits for results here.
class DeafSink final : public ApplySink {
 public:
  void OnResults(std::span<ApplyResult>) override {}
};

// Applies what the log holds beyond the store; returns the last term the member knew.
absl::StatusOr<raft::Term> ApplyLog(base::FileSystem& fs, const ServerConfig& config,
                                    const Identity& identity) {
  DeafSink sink;
  KvStateMachine::Options options;
  options.store.dir = config.store_dir();
  options.member_id = identity.member_id;
  for (const InitialMember& member : identity.initial_members) {
    options.initial_members.push_back(
        {.id = member.id, .name = member.name, .peer_urls = member.peer_urls});
  }
  const std::unique_ptr<KvStateMachine> machine = KvStateMachine::Create(std::move(options), &sink);
  KEEL_ASSIGN_OR_RETURN(const raft::AppliedState applied, machine->Open());
  if (!fs.Exists(config.log_dir())) return applied.term;  // it was gone already

  base::ManualLoop loop;
  raft::LogOptions log_options;
  log_options.dir = config.log_dir();
  log_options.fs = &fs;
  log_options.loop = &loop;
  log_options.write_loop = &loop;
  log_options.cluster_id = identity.cluster_id;
  log_options.member_id = identity.member_id;
  log_options.random = [random = std::mt19937_64(std::random_device{}())]() mutable {
    return random();
  };
  log_options.on_error = [](const absl::Status&) {};
  KEEL_ASSIGN_OR_RETURN(const std::unique_ptr<raft::Log> log,
                        raft::Log::Open(std::move(log_options)));
  const raft::Term term = std::max(applied.term, log->hard_state().term);
  const absl::StatusOr<raft::Term> there = log->TermAt(applied.index);
  if (!there.ok() || *there != applied.term) return term;  // it ends before the store's state
  for (raft::Index next = applied.index + 1; next <= log->LastIndex();) {
    std::vector<raft::Entry> entries;
    KEEL_RETURN_IF_ERROR(log->ReadEntries(next, log->LastIndex() + 1, kBatchBytes, &entries));
    std::vector<raft::CommittedEntry> batch;
    for (raft::Entry& entry : entries) {
      // Who else belongs to the cluster is no question any more.
      if (entry.type != raft::EntryType::kNormal) {
        entry.type = raft::EntryType::kNormal;
        entry.data = nullptr;
      }
      next = entry.index + 1;
      batch.push_back({.entry = std::move(entry)});
    }
    KEEL_RETURN_IF_ERROR(machine->Apply(batch));
  }
  return term;
}

absl::Status StandAlone(const ServerConfig& config, const Identity& identity, raft::Term term) {
  StoreOptions options;
  options.dir = config.store_dir();
  KEEL_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::Open(options));
  ClusterState state;
  KEEL_RETURN_IF_ERROR(state.Load(*store));
  Writer& writer = store->writer();
  const uint64_t index = std::max<uint64_t>(store->applied_index(), 1);
  Member self{.id = identity.member_id,
              .name = identity.name,
              .peer_urls = UrlStrings(config.initial_advertise_peer_urls)};
  for (const Member& member : state.members().List()) {
    if (member.id == self.id) {
      self = member;
    } else {
      state.RemoveMember(writer, member.id, index);
    }
  }
  self.is_learner = false;
  state.SetMember(writer, self);
  raft::ConfState conf;
  conf.voters = {self.id};
  state.SetConf(writer, conf);
  // Its log begins behind this: who joins gets a snapshot, never the entries of another cluster.
  store->Rebase(index, std::max<raft::Term>(term, 1));
  KEEL_RETURN_IF_ERROR(store->Commit(index, std::max<raft::Term>(term, 1)));
  return store->FlushAll();
}

}  // namespace

absl::Status ForceNewCluster(base::FileSystem& fs, const ServerConfig& config, Identity* identity) {
  KEEL_ASSIGN_OR_RETURN(const raft::Term term, ApplyLog(fs, config, *identity));
  KEEL_RETURN_IF_ERROR(StandAlone(config, *identity, term));
  identity->joined = false;
  identity->contacts.clear();
  std::erase_if(identity->initial_members, [identity](const InitialMember& member) {
    return member.id != identity->member_id;
  });
  if (identity->initial_members.empty()) {
    identity->initial_members.push_back(
        {identity->member_id, identity->name, UrlStrings(config.initial_advertise_peer_urls)});
  }
  KEEL_RETURN_IF_ERROR(
      base::WriteFileAtomic(fs, config.member_dir() + "/identity", EncodeIdentity(*identity)));
  // In one step where the folder can be moved.
  const std::string old = config.log_dir() + ".old";
  KEEL_RETURN_IF_ERROR(fs.RemoveAll(old));
  if (fs.Exists(config.log_dir()) && !fs.Rename(config.log_dir(), old).ok()) {
    KEEL_RETURN_IF_ERROR(fs.RemoveAll(config.log_dir()));
  }
  KEEL_RETURN_IF_ERROR(fs.RemoveAll(old));
  base::Log().warn(
      "forced a new cluster of this member alone member={:x} cluster={:x}; start it without "
      "--force-new-cluster from now on",
      identity->member_id, identity->cluster_id);
  return absl::OkStatus();
}

}  // namespace keel::kvstore
