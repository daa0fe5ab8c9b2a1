#include "kvstore/server/maintenance_service.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/strings.h"
#include "kvstore/api/rpc.pb.h"
#include "kvstore/mvcc/errors.h"
#include "kvstore/server/auth_gate.h"
#include "kvstore/server/errors.h"
#include "kvstore/server/service.h"

namespace keel::kvstore {

namespace pb = etcdserverpb;
using base::StrCat;
using Call = rpc::ServerCallPtr;

MaintenanceService::MaintenanceService(ServerContext* context, Proposals* proposals)
    : context_(context), proposals_(proposals) {}

void MaintenanceService::RegisterOn(rpc::Server* server) {
  Register(server, "/etcdserverpb.Maintenance/Status", context_,
           {.learner_may = true, .who = Who::kSomebody},
           [this](Call call) { Status(std::move(call)); });
  Register(server, "/etcdserverpb.Maintenance/Alarm", context_, {},
           [this](Call call) { Alarm(std::move(call)); });
  Register(server, "/etcdserverpb.Maintenance/Hash", context_, {.who = Who::kRoot},
           [this](Call call) { Hash(std::move(call)); });
  Register(server, "/etcdserverpb.Maintenance/HashKV", context_, {.who = Who::kRoot},
           [this](Call call) { HashKv(std::move(call)); });
  Register(server, "/etcdserverpb.Maintenance/MoveLeader", context_, {.who = Who::kRoot},
           [this](Call call) { MoveLeader(std::move(call)); });
  Register(server, "/etcdserverpb.Maintenance/Downgrade", context_, {.who = Who::kRoot},
           [this](Call call) { Downgrade(std::move(call)); });
  // The store gives space back by itself, beside the load: there is nothing left to do.
  Register(server, "/etcdserverpb.Maintenance/Defragment", context_, {.who = Who::kRoot},
           [](Call call) { call->Reply(std::string()); });
}

void MaintenanceService::Status(Call call) {
  const ServerContext& context = *context_;
  const StoreSizes sizes = context.machine->sizes();
  pb::StatusResponse response;
  response.set_version(kEtcdVersion);
  response.set_dbsize(sizes.db_bytes);
  response.set_dbsizeinuse(sizes.in_use_bytes);
  response.set_dbsizequota(context.config.quota_backend_bytes);
  response.set_leader(context.node->leader());
  response.set_raftindex(context.node->commit_index());
  response.set_raftterm(context.node->term());
  response.set_raftappliedindex(context.node->applied_index());
  response.set_islearner(context.is_learner.load(std::memory_order_relaxed));
  response.set_storageversion(kEtcdVersion);
  response.mutable_downgradeinfo();
  if (!context.HasLeader()) response.add_errors(std::string(base::ToStd(ErrNoLeader().message())));
  for (const struct Alarm& alarm : context.machine->alarms()) {
    if (alarm.type == pb::NONE) continue;
    response.add_errors(
        StrCat("memberID:", alarm.member_id, " alarm:", pb::AlarmType_Name(alarm.type), " "));
  }
  call->Reply(
      WithHeader(context, context.machine->view()->revision(), response.SerializeAsString()));
}

void MaintenanceService::Alarm(Call call) {
  const auto* request = ParseScratch<pb::AlarmRequest>(call->request());
  if (request == nullptr) return call->Finish(ErrUnmarshal());
  if (context_->auth->enabled()) {
    const bool only_asks = request->action() == pb::AlarmRequest::GET;
    return context_->auth_gate->Admit(
        std::move(call), only_asks ? CheckSomebody : CheckRoot,
        [this](Call admitted, Caller) { ProposeAlarm(std::move(admitted)); });
  }
  ProposeAlarm(std::move(call));
}

void MaintenanceService::ProposeAlarm(Call call) {
  const std::string_view bytes = call->request();
  proposals_->Propose(
      CommandField::kAlarm, bytes,
      [context = context_, call = std::move(call)](absl::Status error, ApplyResult* result) {
        if (!error.ok()) return call->Finish(std::move(error));
        if (!result->status.ok()) return call->Finish(std::move(result->status));
        call->Reply(WithHeader(*context, result->revision, result->body));
      });
}

void MaintenanceService::Hash(Call call) {
  context_->NextWorker().Post([context = context_, call = std::move(call)] {
    const std::shared_ptr<const ReadView> view = context->machine->view();
    const absl::StatusOr<uint32_t> hash = view->Hash();
    if (!hash.ok()) return call->Finish(hash.status());
    pb::HashResponse response;
    response.set_hash(*hash);
    call->Reply(WithHeader(*context, view->revision(), response.SerializeAsString()));
  });
}

void MaintenanceService::HashKv(Call call) {
  const auto* request = ParseScratch<pb::HashKVRequest>(call->request());
  if (request == nullptr) return call->Finish(ErrUnmarshal());
  context_->NextWorker().Post(
      [context = context_, call = std::move(call), revision = request->revision()] {
        const std::shared_ptr<const ReadView> view = context->machine->view();
        const absl::StatusOr<HashResult> hash = view->HashKv(revision);
        if (!hash.ok()) return call->Finish(hash.status());
        pb::HashKVResponse response;
        response.set_hash(hash->hash);
        response.set_compact_revision(hash->compact_revision);
        response.set_hash_revision(hash->revision);
        call->Reply(WithHeader(*context, view->revision(), response.SerializeAsString()));
      });
}

void MaintenanceService::MoveLeader(Call call) {
  const auto* request = ParseScratch<pb::MoveLeaderRequest>(call->request());
  if (request == nullptr) return call->Finish(ErrUnmarshal());
  if (!context_->IsLeader()) return call->Finish(ErrNotLeader());
  const uint64_t target = request->targetid();
  if (target == context_->member_id) return call->Reply(std::string());
  const std::optional<Member> member = context_->machine->members().Find(target);
  if (!member.has_value() || member->is_learner) return call->Finish(ErrBadLeaderTransferee());
  context_->loop->Dispatch([this, target, call = std::move(call)]() mutable {
    const base::TimePoint give_up = context_->loop->Now() + context_->config.request_timeout();
    context_->node->TransferLeadership(
        target, [this, target, give_up, call = std::move(call)](absl::Status refused) mutable {
          if (!refused.ok()) return call->Finish(ErrTimeoutLeaderTransfer());
          AwaitLeader(target, give_up, std::move(call));
        });
  });
}

void MaintenanceService::AwaitLeader(uint64_t target, base::TimePoint give_up, Call call) {
  if (context_->node->leader() == target) return call->Reply(std::string());
  if (context_->loop->Now() > give_up) return call->Finish(ErrTimeoutLeaderTransfer());
  context_->loop->After(std::chrono::milliseconds(10),
                        [this, target, give_up, call = std::move(call)]() mutable {
                          AwaitLeader(target, give_up, std::move(call));
                        });
}

void MaintenanceService::Downgrade(Call call) {
  const auto* request = ParseScratch<pb::DowngradeRequest>(call->request());
  if (request == nullptr) return call->Finish(ErrUnmarshal());
  // The store has had one format only: there is no version to go down to.
  if (request->action() == pb::DowngradeRequest::CANCEL) {
    return call->Finish(ErrNoInflightDowngrade());
  }
  const std::vector<std::string> numbers = absl::StrSplit(request->version(), '.');
  bool version = numbers.size() == 2 || numbers.size() == 3;
  for (const std::string& number : numbers) {
    uint32_t ignored = 0;
    version = version && absl::SimpleAtoi(number, &ignored);
  }
  call->Finish(version ? ErrInvalidDowngradeTarget() : ErrWrongDowngradeVersionFormat());
}

}  // namespace keel::kvstore
