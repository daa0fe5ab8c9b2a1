#include "kvstore/apply/state_machine.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/apply/applier.h"
#include "kvstore/apply/cluster_state.h"
#include "kvstore/apply/command.h"
#include "kvstore/mvcc/errors.h"

namespace keel::kvstore {

namespace {

// Pending effects are written out in the middle of a batch beyond this (bytes).
constexpr size_t kPendingMax = 8 << 20;

class Machine : public KvStateMachine {
 public:
  Machine(Options options, ApplySink* sink) : options_(std::move(options)), sink_(*sink) {
    state_.auth().SetTokenRevoker([sink](const std::string& user) { sink->OnTokensRevoked(user); });
  }

  // ---- raft::StateMachine

  absl::StatusOr<raft::AppliedState> Open() override {
    KEEL_CHECK(store_ == nullptr);
    KEEL_ASSIGN_OR_RETURN(store_, Store::Open(options_.store));
    KEEL_RETURN_IF_ERROR(Reload());
    if (index_ == 0 && state_.members().List().empty()) {
      for (const Member& member : options_.initial_members)
        state_.SetMember(store_->writer(), member);
      KEEL_RETURN_IF_ERROR(store_->Commit(0, 0));
      store_->Publish();
    }
    return raft::AppliedState{index_, term_, state_.conf()};
  }

  absl::Status Apply(std::span<const raft::CommittedEntry> entries) override {
    const auto start = std::chrono::steady_clock::now();
    for (auto rest = entries; !rest.empty();) {
      const auto some = rest.first(std::min(rest.size(), Writer::kLookUpMax));
      rest = rest.subspan(some.size());
      KEEL_RETURN_IF_ERROR(ApplySome(some));
    }
    const auto commit = std::chrono::steady_clock::now();
    KEEL_RETURN_IF_ERROR(store_->Commit(index_, term_));
    const auto end = std::chrono::steady_clock::now();
    store_->Publish();
    ApplyFigures figures = applier_->TakeFigures();
    figures.apply = end - start;
    figures.commit = end - commit;
    sink_.OnApplied(figures);
    Announce();
    return absl::OkStatus();
  }

  bool AcceptConfChange(const raft::Entry& entry, const raft::ConfChange& change) override {
    kv::MemberChange context;
    if (!context.ParseFromString(change.context)) return false;
    return CheckConfChange(change, context).ok();
  }

  raft::Index DurableIndex() override { return store_->durable_index(); }

  void Flush() override {
    if (const absl::Status status = store_->StartFlush(); !status.ok()) {
      base::Log().warn("store flush status={}", status.ToString());
    }
  }

  absl::StatusOr<raft::AppliedState> WriteSnapshot(const std::string& dir) override {
    KEEL_RETURN_IF_ERROR(store_->WriteCheckpoint(dir));
    return raft::AppliedState{index_, term_, state_.conf()};
  }

  void CheckSnapshot(const std::string& dir, absl::AnyInvocable<void(absl::Status)> done) override {
    store_->CheckCheckpoint(dir, std::move(done));
  }

  absl::Status RestoreSnapshot(const std::string& dir, const raft::SnapshotMeta& meta) override {
    KEEL_RETURN_IF_ERROR(store_->Restore(dir, meta.index));
    KEEL_RETURN_IF_ERROR(Reload());
    if (!(state_.conf() == meta.conf)) {  // a snapshot from before the first change carries none
      state_.SetConf(store_->writer(), meta.conf);
      KEEL_RETURN_IF_ERROR(store_->Commit(index_, term_));
      store_->Publish();
    }
    sink_.OnReset();
    const int64_t revision = current_revision();
    for (FeedSubscriber* subscriber : subscribers_) subscriber->OnReset(revision);
    return absl::OkStatus();
  }

  // ---- ChangeFeed

  int64_t Subscribe(FeedSubscriber* subscriber) override {
    subscribers_.push_back(subscriber);
    return current_revision();
  }
  void Unsubscribe(FeedSubscriber* subscriber) override { std::erase(subscribers_, subscriber); }
  int64_t current_revision() const override { return store_->view()->revision(); }
  int64_t compact_revision() const override { return store_->view()->compact_revision(); }
  absl::StatusOr<History> ReadHistory(const HistoryOptions& options) const override {
    return store_->view()->ReadHistory(options);
  }

  // ---- the server's view

  std::shared_ptr<const ReadView> view() const override { return store_->view(); }
  const LeaseTable& leases() const override { return state_.leases(); }
  const MemberTable& members() const override { return state_.members(); }
  std::vector<Alarm> alarms() const override { return state_.alarms(); }
  bool HasAlarm(etcdserverpb::AlarmType type) const override { return state_.HasAlarm(type); }
  std::string cluster_version() const override { return state_.version(); }
  uint32_t cluster_level() const override { return state_.level(); }
  const AuthState& auth() const override { return state_.auth(); }
  StoreSizes sizes(base::Duration max_age) const override { return store_->sizes(max_age); }
  absl::Status background_status() const override { return store_->background_status(); }
  absl::Status ExportCheckpoint(const std::string& dir) const override {
    return store_->ExportCheckpoint(dir);
  }
  absl::Status ResumeFlushes() override { return store_->Resume(); }
  void WhenPhysicallyCompacted(int64_t revision,
                               absl::AnyInvocable<void(absl::Status)> done) override {
    store_->WhenPhysicallyCompacted(revision, std::move(done));
  }

 private:
  // Everything in memory from what the store holds.
  absl::Status Reload() {
    KEEL_RETURN_IF_ERROR(state_.Load(*store_));
    if (state_.level() > options_.levels.own) {
      return absl::FailedPreconditionError(base::StrCat(
          "the store in ", options_.store.dir, " is of a cluster that uses commands of level ",
          state_.level(), ", and this program knows only those up to ", options_.levels.own,
          ": run a newer one"));
    }
    index_ = store_->applied_index();
    term_ = store_->applied_term();
    applier_ = std::make_unique<Applier>(store_.get(), &state_, options_.levels,
                                         [this] { return CommitPending(); });
    return absl::OkStatus();
  }

  // Writes the effects of all entries up to index_.
  absl::Status CommitPending() {
    return store_->writer().pending() ? store_->Commit(index_, term_) : absl::OkStatus();
  }

  struct Decoded {
    absl::Status status;
    CommandView command;
  };

  static bool HasCommand(const raft::Entry& entry) {
    return entry.type != raft::EntryType::kConfChange && entry.data != nullptr &&
           !entry.data->empty();
  }

  absl::Status ApplySome(std::span<const raft::CommittedEntry> entries) {
    std::array<Decoded, Writer::kLookUpMax> decoded;
    std::array<std::string_view, Writer::kLookUpMax> keys;
    size_t known = 0;
    for (size_t i = 0; i < entries.size(); ++i) {
      if (!HasCommand(entries[i].entry)) continue;
      decoded[i].status = DecodeCommand(*entries[i].entry.data, &decoded[i].command);
      if (decoded[i].status.ok()) keys[known] = FirstKey(decoded[i].command);
      if (!keys[known].empty()) ++known;
    }
    if (known > 1) store_->writer().LookUp({keys.data(), known});
    for (size_t i = 0; i < entries.size(); ++i) {
      const raft::CommittedEntry& committed = entries[i];
      const raft::Entry& entry = committed.entry;
      KEEL_CHECK(entry.index == index_ + 1 && entry.term >= term_, "index=", entry.index,
                 " applied=", index_, " term=", entry.term);
      if (store_->writer().pending_bytes() > kPendingMax) KEEL_RETURN_IF_ERROR(CommitPending());
      if (entry.type == raft::EntryType::kConfChange) {
        ApplyConfChange(committed);
      } else if (HasCommand(entry)) {
        KEEL_RETURN_IF_ERROR(ApplyCommand(entry, decoded[i].status, decoded[i].command));
      }
      index_ = entry.index;
      term_ = entry.term;
    }
    return absl::OkStatus();
  }

  absl::Status ApplyCommand(const raft::Entry& entry, const absl::Status& decoded,
                            const CommandView& command) {
    const bool wanted = command.proposer == options_.member_id && command.id != 0;
    ApplyResult result;
    result.id = command.id;
    result.index = entry.index;
    if (decoded.ok() && command.only_in_term != 0 && command.only_in_term != entry.term) {
      result.status = absl::FailedPreconditionError("who proposed this leads no more");
      result.revision = store_->writer().revision();
    } else if (decoded.ok()) {
      KEEL_RETURN_IF_ERROR(applier_->Apply(command, wanted, &result, &notices_));
    } else {
      result.status = decoded;
      result.revision = store_->writer().revision();
    }
    if (wanted) results_.push_back(std::move(result));
    return absl::OkStatus();
  }

  absl::Status CheckConfChange(const raft::ConfChange& change,
                               const kv::MemberChange& context) const {
    using Type = raft::ConfChangeSingle::Type;
    for (const raft::ConfChangeSingle& single : change.changes) {
      switch (single.type) {
        case Type::kRemove:
          KEEL_RETURN_IF_ERROR(state_.members().CheckRemove(single.node));
          break;
        case Type::kAddVoter:
          if (context.promote()) {
            KEEL_RETURN_IF_ERROR(state_.members().CheckPromote(single.node));
            break;
          }
          [[fallthrough]];
        case Type::kAddLearner:
          KEEL_RETURN_IF_ERROR(
              state_.members().CheckAdd(Described(single, context), options_.max_learners));
          break;
      }
    }
    return absl::OkStatus();
  }

  // The member that a change adds, with what the context says of it.
  static Member Described(const raft::ConfChangeSingle& single, const kv::MemberChange& context) {
    Member member;
    if (context.member().id() == single.node) member = FromProto(context.member());
    member.id = single.node;
    member.is_learner = single.type == raft::ConfChangeSingle::Type::kAddLearner;
    return member;
  }

  void ApplyConfChange(const raft::CommittedEntry& committed) {
    using Type = raft::ConfChangeSingle::Type;
    Writer& writer = store_->writer();
    kv::MemberChange context;
    absl::Status status =
        absl::InvalidArgumentError("etcdserver: the membership change cannot be decoded");
    if (context.ParseFromString(committed.change.context)) {
      status = CheckConfChange(committed.change, context);
    }
    if (status.ok()) {
      for (const raft::ConfChangeSingle& single : committed.change.changes) {
        if (single.type == Type::kRemove) {
          if (state_.RemoveMember(writer, single.node, committed.entry.index)) {
            notices_.push_back([](ApplySink& sink) { sink.OnAlarmsChanged(); });
          }
        } else if (context.promote()) {
          Member member = *state_.members().Find(single.node);
          member.is_learner = false;
          state_.SetMember(writer, std::move(member));
        } else {
          state_.SetMember(writer, Described(single, context));
        }
      }
      notices_.push_back([](ApplySink& sink) { sink.OnMembersChanged(); });
    }
    state_.SetConf(writer, committed.conf_after);
    if (context.id() != 0 && context.proposer() == options_.member_id) {
      ApplyResult result;
      result.id = context.id();
      result.status = std::move(status);
      result.revision = writer.revision();
      result.index = committed.entry.index;
      results_.push_back(std::move(result));
    }
  }

  // Tells everybody of what has become readable.
  void Announce() {
    const int64_t compacted = store_->writer().compact_revision();
    if (compacted > scheduled_compaction_) {
      store_->SchedulePhysicalCompaction(compacted);
      scheduled_compaction_ = compacted;
    }
    const std::shared_ptr<const FeedBatch> feed = store_->writer().TakeFeed();
    if (!feed->empty()) {
      for (FeedSubscriber* subscriber : subscribers_) subscriber->OnRevisions(feed);
    }
    for (const Notice& notice : notices_) notice(sink_);
    notices_.clear();
    if (!results_.empty()) sink_.OnResults(results_);
    results_.clear();
  }

  const Options options_;
  ApplySink& sink_;
  std::unique_ptr<Store> store_;
  ClusterState state_;
  std::unique_ptr<Applier> applier_;
  raft::Index index_ = 0;
  raft::Term term_ = 0;
  int64_t scheduled_compaction_ = -1;
  std::vector<FeedSubscriber*> subscribers_;
  std::vector<ApplyResult> results_;
  std::vector<Notice> notices_;
};

}  // namespace

std::unique_ptr<KvStateMachine> KvStateMachine::Create(Options options, ApplySink* sink) {
  return std::make_unique<Machine>(std::move(options), sink);
}

}  // namespace keel::kvstore
