#include "kvstore/apply/applier.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutation.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/apply/check.h"
#include "kvstore/apply/read.h"
#include "kvstore/apply/wire.h"
#include "kvstore/mvcc/errors.h"

namespace keel::kvstore {

namespace {

using etcdserverpb::AlarmRequest;
using etcdserverpb::AlarmResponse;
using etcdserverpb::DeleteRangeRequest;
using etcdserverpb::DeleteRangeResponse;
using etcdserverpb::PutResponse;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;
using kv::Command;

constexpr int64_t kLeaseTtlMax = 9'000'000'000;  // seconds; etcd's

RecordView ViewOf(const KeyValue& kv) {
  return {kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease};
}

template <typename Test>
bool AnyOp(const TxnRequest& request, const Test& test) {
  for (const auto* ops : {&request.success(), &request.failure()}) {
    for (const RequestOp& op : *ops) {
      if (op.has_request_txn() ? AnyOp(op.request_txn(), test) : test(op)) return true;
    }
  }
  return false;
}

absl::Status UnknownCommand(int field) {
  return absl::UnimplementedError(base::StrCat("etcdserver: unknown command ", field));
}

}  // namespace

bool HasPuts(const TxnRequest& request) {
  return AnyOp(request, [](const RequestOp& op) { return op.has_request_put(); });
}

absl::Status Applier::Apply(const CommandView& command, bool wanted, ApplyResult* outcome,
                            std::vector<Notice>* notices) {
  wanted_ = wanted;
  outcome_ = outcome;
  notices_ = notices;
  KEEL_RETURN_IF_ERROR(Dispatch(command));
  outcome->revision = writer().revision();
  if (!outcome->status.ok()) outcome->body.clear();
  return absl::OkStatus();
}

absl::Status Applier::Dispatch(const CommandView& command) {
  const int field = command.field;
  user_ = command.user;
  // As by a member that does not know it.
  if (levels_.of(field) > state_.level()) [[unlikely]] {
    outcome_->status = UnknownCommand(field);
    return absl::OkStatus();
  }
  // What the leader does of its own accord has no user.
  if (state_.auth().enabled() && command.only_in_term == 0) [[unlikely]] {
    KEEL_RETURN_IF_ERROR(CheckCaller(command));
    if (!outcome_->status.ok()) return absl::OkStatus();
  }
  if (state_.HasAlarm(etcdserverpb::CORRUPT) && field <= Command::kLeaseRevokeFieldNumber) {
    outcome_->status = ErrCorrupt();
    return absl::OkStatus();
  }
  const bool full = state_.HasAlarm(etcdserverpb::NOSPACE);
  if (full && (field == Command::kPutFieldNumber || field == Command::kLeaseGrantFieldNumber)) {
    outcome_->status = ErrNoSpace();
    return absl::OkStatus();
  }
  switch (field) {
    case Command::kPutFieldNumber: {
      PutView put;
      outcome_->status = DecodePut(command.request, &put);
      return outcome_->status.ok() ? ApplyPut(put) : absl::OkStatus();
    }
    case Command::kDeleteRangeFieldNumber:
      return Parse(command.request, &delete_range_) ? ApplyDeleteRange(delete_range_)
                                                    : absl::OkStatus();
    case Command::kTxnFieldNumber:
      if (!Parse(command.request, &txn_)) return absl::OkStatus();
      if (full && HasPuts(txn_)) {
        outcome_->status = ErrNoSpace();
        return absl::OkStatus();
      }
      return ApplyTxn(txn_);
    case Command::kCompactionFieldNumber: {
      etcdserverpb::CompactionRequest request;
      return Parse(command.request, &request) ? ApplyCompaction(request) : absl::OkStatus();
    }
    case Command::kLeaseGrantFieldNumber: {
      etcdserverpb::LeaseGrantRequest request;
      return Parse(command.request, &request) ? ApplyLeaseGrant(request) : absl::OkStatus();
    }
    case Command::kLeaseRevokeFieldNumber: {
      etcdserverpb::LeaseRevokeRequest request;
      return Parse(command.request, &request) ? ApplyLeaseRevoke(request) : absl::OkStatus();
    }
    case Command::kLeaseCheckpointFieldNumber: {
      etcdserverpb::LeaseCheckpointRequest request;
      return Parse(command.request, &request) ? ApplyLeaseCheckpoint(request) : absl::OkStatus();
    }
    case Command::kAlarmFieldNumber: {
      AlarmRequest request;
      if (Parse(command.request, &request)) ApplyAlarm(request);
      return absl::OkStatus();
    }
    case Command::kMemberSpaceFieldNumber: {
      kv::MemberSpace request;
      if (Parse(command.request, &request)) ApplyMemberSpace(request);
      return absl::OkStatus();
    }
    case Command::kMemberAttributesFieldNumber: {
      kv::MemberAttributes request;
      if (Parse(command.request, &request)) ApplyMemberAttributes(request);
      return absl::OkStatus();
    }
    case Command::kClusterVersionFieldNumber: {
      kv::ClusterVersion request;
      return Parse(command.request, &request) ? ApplyClusterVersion(request) : absl::OkStatus();
    }
    case Command::kMemberUpdateFieldNumber: {
      etcdserverpb::MemberUpdateRequest request;
      if (Parse(command.request, &request)) ApplyMemberUpdate(request);
      return absl::OkStatus();
    }
    default:
      if (ApplyAuth(command)) return absl::OkStatus();
      outcome_->status = UnknownCommand(field);
      return absl::OkStatus();
  }
}

absl::Status Applier::ApplyClusterVersion(const kv::ClusterVersion& request) {
  if (request.level() > levels_.own) {
    // What follows in the log may be such a command; to skip it would part this member's state
    // from the others'.
    return absl::FailedPreconditionError(base::StrCat(
        "the cluster uses commands of level ", request.level(), " from here on, and this program ",
        "knows only those up to ", levels_.own, ": run a newer one"));
  }
  if (request.level() > state_.level()) state_.SetLevel(writer(), request.level());
  state_.SetVersion(writer(), request.version());
  notices_->push_back([](ApplySink& sink) { sink.OnClusterVersionChanged(); });
  return absl::OkStatus();
}

// ---- keys

absl::Status Applier::ApplyPut(const PutView& put) {
  absl::Status& refused = outcome_->status;
  refused = CheckPut(put);
  if (refused.ok() && put.lease != 0 && !state_.leases().Contains(put.lease) &&
      !KEEL_MUTATION(kGrantOnRevoke)) {
    refused = ErrLeaseNotFound();
  }
  if (!refused.ok()) return absl::OkStatus();
  writer().Begin();
  KEEL_RETURN_IF_ERROR(Put(put, &refused, &outcome_->body));
  writer().End();
  return absl::OkStatus();
}

absl::Status Applier::Put(const PutView& put, absl::Status* refused, std::string* body) {
  ++figures_.puts;
  std::string_view value = put.value;
  int64_t lease = put.lease;
  std::shared_ptr<const KeyValue> present;
  if (put.ignore_value || put.ignore_lease) {
    KEEL_ASSIGN_OR_RETURN(present, writer().Get(put.key));
    if (present == nullptr) {
      *refused = ErrKeyNotFound();
      return absl::OkStatus();
    }
    if (put.ignore_value) value = present->value;
    if (put.ignore_lease) lease = present->lease;
  }
  if (lease != 0) lease_writers_.OnAttach(lease, user_);
  KEEL_ASSIGN_OR_RETURN(const Writer::PutResult result, writer().Put(put.key, value, lease));
  if (wanted_ && put.prev_kv && result.prev != nullptr) {
    AppendKeyValue(PutResponse::kPrevKvFieldNumber, ViewOf(*result.prev), body);
  }
  return absl::OkStatus();
}

absl::Status Applier::ApplyDeleteRange(const DeleteRangeRequest& request) {
  outcome_->status = CheckDeleteRange(request);
  if (!outcome_->status.ok()) return absl::OkStatus();
  writer().Begin();
  KEEL_RETURN_IF_ERROR(DeleteRange(request, &outcome_->body));
  writer().End();
  return absl::OkStatus();
}

absl::Status Applier::DeleteRange(const DeleteRangeRequest& request, std::string* body) {
  ++figures_.deletes;
  const bool prev_kv = wanted_ && request.prev_kv();
  std::string prev;
  KEEL_ASSIGN_OR_RETURN(
      const int64_t deleted,
      writer().DeleteRange(
          KeyRange::Of(request.key(), request.range_end()), [&](const RecordView& record) {
            if (prev_kv) AppendKeyValue(DeleteRangeResponse::kPrevKvsFieldNumber, record, &prev);
          }));
  AppendVarintField(DeleteRangeResponse::kDeletedFieldNumber, static_cast<uint64_t>(deleted), body);
  body->append(prev);
  return absl::OkStatus();
}

absl::Status Applier::ApplyTxn(const TxnRequest& request) {
  ++figures_.txns;
  outcome_->status = CheckTxn(request, /*max_ops=*/0);
  if (!outcome_->status.ok()) return absl::OkStatus();
  // Reads of the past look at the disk only: earlier entries must be there.
  const bool reads_past = AnyOp(request, [](const RequestOp& op) {
    return op.has_request_range() && op.request_range().revision() > 0;
  });
  if (reads_past) KEEL_RETURN_IF_ERROR(commit_());

  KEEL_ASSIGN_OR_RETURN(const TxnPath path,
                        ChoosePath(
                            [this](const RangeOptions& options, RecordVisitor visit) {
                              if (KEEL_MUTATION(kTxnStaleCompare))
                                return store_.view()->Range(options, visit);
                              return writer().Range(options, visit);
                            },
                            request));
  // All that could be refused is found before anything is changed.
  for (const bool puts : {true, false}) {
    size_t next = 0;
    KEEL_RETURN_IF_ERROR(CheckPath(request, path, &next, puts, &outcome_->status));
    if (!outcome_->status.ok()) return absl::OkStatus();
  }
  writer().Begin();
  size_t next = 0;
  KEEL_RETURN_IF_ERROR(ExecuteTxn(request, path, &next, &outcome_->body));
  writer().End();
  return absl::OkStatus();
}

absl::Status Applier::CheckPath(const TxnRequest& request, const TxnPath& path, size_t* next,
                                bool puts, absl::Status* refused) {
  for (const RequestOp& op : Branch(request, path, (*next)++)) {
    if (!refused->ok()) return absl::OkStatus();
    if (op.has_request_txn()) {
      KEEL_RETURN_IF_ERROR(CheckPath(op.request_txn(), path, next, puts, refused));
    } else if (puts && op.has_request_put()) {
      const auto& put = op.request_put();
      if (put.ignore_value() || put.ignore_lease()) {
        KEEL_ASSIGN_OR_RETURN(const auto present, writer().Get(put.key()));
        if (present == nullptr) *refused = ErrKeyNotFound();
      }
      if (refused->ok() && put.lease() != 0 && !state_.leases().Contains(put.lease())) {
        *refused = ErrLeaseNotFound();
      }
    } else if (!puts && op.has_request_range()) {
      *refused =
          CheckRangeRevision(op.request_range(), writer().revision(), writer().compact_revision());
    }
  }
  return absl::OkStatus();
}

absl::Status Applier::ExecuteTxn(const TxnRequest& request, const TxnPath& path, size_t* next,
                                 std::string* body) {
  const size_t at = (*next)++;
  const auto& ops = Branch(request, path, at);
  AppendVarintField(TxnResponse::kSucceededFieldNumber, path[at] ? 1 : 0, body);
  for (const RequestOp& op : ops) {
    std::string response;
    if (KEEL_MUTATION(kTxnManyRevisions)) {
      writer().End();
      writer().Begin();
    }
    switch (op.request_case()) {
      case RequestOp::kRequestRange: {
        if (!wanted_) break;  // nobody reads the answer, and it changes nothing
        AppendNestedHeader(writer().read_revision(), &response);
        KEEL_RETURN_IF_ERROR(
            AppendRangeBody([this](const RangeOptions& options,
                                   RecordVisitor visit) { return writer().Range(options, visit); },
                            op.request_range(), &response));
        AppendResponseOp(ResponseField::kRange, response, body);
        break;
      }
      case RequestOp::kRequestPut: {
        absl::Status refused;
        std::string put_body;
        KEEL_RETURN_IF_ERROR(Put(PutView::Of(op.request_put()), &refused, &put_body));
        KEEL_CHECK(refused.ok(), "a put that was checked is refused: ", refused.ToString());
        AppendNestedHeader(writer().read_revision(), &response);
        response.append(put_body);
        AppendResponseOp(ResponseField::kPut, response, body);
        break;
      }
      case RequestOp::kRequestDeleteRange: {
        std::string delete_body;
        KEEL_RETURN_IF_ERROR(DeleteRange(op.request_delete_range(), &delete_body));
        AppendNestedHeader(writer().read_revision(), &response);
        response.append(delete_body);
        AppendResponseOp(ResponseField::kDeleteRange, response, body);
        break;
      }
      case RequestOp::kRequestTxn: {
        AppendNestedHeader(0, &response);
        KEEL_RETURN_IF_ERROR(ExecuteTxn(op.request_txn(), path, next, &response));
        AppendResponseOp(ResponseField::kTxn, response, body);
        break;
      }
      case RequestOp::REQUEST_NOT_SET:
        KEEL_CHECK(false, "CheckTxn lets no empty operation pass");
    }
  }
  return absl::OkStatus();
}

absl::Status Applier::ApplyCompaction(const etcdserverpb::CompactionRequest& request) {
  if (request.revision() <= writer().compact_revision()) {
    outcome_->status = ErrCompacted();
  } else if (request.revision() > writer().revision()) {
    outcome_->status = ErrFutureRevision();
  } else {
    const int64_t revision = request.revision();
    writer().Compact(revision);
    notices_->push_back([revision](ApplySink& sink) { sink.OnCompacted(revision); });
  }
  return absl::OkStatus();
}

// ---- leases

absl::Status Applier::ApplyLeaseGrant(const etcdserverpb::LeaseGrantRequest& request) {
  if (request.id() == 0) {
    outcome_->status = ErrLeaseNotFound();
  } else if (request.ttl() > kLeaseTtlMax) {
    outcome_->status = ErrLeaseTtlTooLarge();
  } else if (state_.leases().Contains(request.id())) {
    outcome_->status = ErrLeaseExists();
  } else {
    const Lease lease{request.id(), std::max<int64_t>(request.ttl(), 1), 0};
    state_.SetLease(writer(), lease);
    AppendVarintField(etcdserverpb::LeaseGrantResponse::kIDFieldNumber,
                      static_cast<uint64_t>(lease.id), &outcome_->body);
    AppendVarintField(etcdserverpb::LeaseGrantResponse::kTTLFieldNumber,
                      static_cast<uint64_t>(lease.granted_ttl), &outcome_->body);
    notices_->push_back([lease](ApplySink& sink) { sink.OnLeaseGranted(lease); });
  }
  return absl::OkStatus();
}

absl::Status Applier::ApplyLeaseRevoke(const etcdserverpb::LeaseRevokeRequest& request) {
  const int64_t id = request.id();
  if (!state_.leases().Contains(id)) {
    outcome_->status = ErrLeaseNotFound();
    return absl::OkStatus();
  }
  KEEL_RETURN_IF_ERROR(commit_());  // attachments of earlier entries must be readable
  KEEL_ASSIGN_OR_RETURN(const std::vector<std::string> keys, writer().LeaseKeys(id));
  writer().Begin();
  for (const std::string& key : keys) {
    KEEL_ASSIGN_OR_RETURN(const int64_t deleted,
                          writer().DeleteRange(KeyRange::Of(key, {}), [](const RecordView&) {}));
    if (KEEL_MUTATION(kRevokeManyRevisions)) {
      writer().End();
      writer().Begin();
    }
    KEEL_CHECK(deleted == 1, "a key attached to lease ", id, " does not exist");
  }
  writer().End();
  state_.RemoveLease(writer(), id);
  notices_->push_back([id](ApplySink& sink) { sink.OnLeaseRevoked(id); });
  return absl::OkStatus();
}

absl::Status Applier::ApplyLeaseCheckpoint(const etcdserverpb::LeaseCheckpointRequest& request) {
  for (const auto& checkpoint : request.checkpoints()) {
    std::optional<Lease> lease = state_.leases().Find(checkpoint.id());
    if (!lease.has_value()) {
      outcome_->status = ErrLeaseNotFound();
      return absl::OkStatus();
    }
    if (!KEEL_MUTATION(kForgetCheckpoint)) lease->remaining_ttl = checkpoint.remaining_ttl();
    state_.SetLease(writer(), *lease);
    notices_->push_back([lease = *lease](ApplySink& sink) { sink.OnLeaseCheckpointed(lease); });
  }
  return absl::OkStatus();
}

// ---- the cluster

void Applier::ApplyAlarm(const AlarmRequest& request) {
  std::vector<Alarm> answer;
  const Alarm alarm{request.memberid(), request.alarm()};
  bool changed = false;
  switch (request.action()) {
    case AlarmRequest::GET:
      answer = state_.alarms();
      if (request.alarm() != etcdserverpb::NONE) {
        std::erase_if(answer, [&](const Alarm& other) { return other.type != request.alarm(); });
      }
      break;
    case AlarmRequest::ACTIVATE:
      if (request.alarm() == etcdserverpb::NONE) break;
      // Of one that is gone it was on its way when that one was removed.
      if (alarm.type == etcdserverpb::NOSPACE && state_.members().WasRemoved(alarm.member_id))
        break;
      changed = state_.RaiseAlarm(writer(), alarm);
      answer.push_back(alarm);
      break;
    case AlarmRequest::DEACTIVATE:
      changed = state_.ClearAlarm(writer(), alarm);
      if (changed) answer.push_back(alarm);
      break;
    default:
      break;
  }
  AlarmResponse response;
  for (const Alarm& each : answer) {
    auto* member = response.add_alarms();
    member->set_memberid(each.member_id);
    member->set_alarm(each.type);
  }
  response.AppendToString(&outcome_->body);
  if (changed) notices_->push_back([](ApplySink& sink) { sink.OnAlarmsChanged(); });
}

void Applier::ApplyMemberSpace(const kv::MemberSpace& request) {
  const Alarm alarm{request.member_id(), etcdserverpb::NOSPACE, /*automatic=*/true};
  bool changed = false;
  if (!request.short_()) {
    changed = state_.ClearAlarm(writer(), alarm);
  } else if (!state_.members().WasRemoved(alarm.member_id)) {  // the last words of one that is gone
    changed = state_.RaiseAlarm(writer(), alarm);
  }
  if (changed) notices_->push_back([](ApplySink& sink) { sink.OnAlarmsChanged(); });
}

void Applier::ApplyMemberAttributes(const kv::MemberAttributes& request) {
  std::optional<Member> member = state_.members().Find(request.member_id());
  if (!member.has_value()) {
    outcome_->status = ErrMemberNotFound();
    return;
  }
  member->name = request.name();
  member->client_urls = {request.client_urls().begin(), request.client_urls().end()};
  state_.SetMember(writer(), *std::move(member));
  notices_->push_back([](ApplySink& sink) { sink.OnMembersChanged(); });
}

void Applier::ApplyMemberUpdate(const etcdserverpb::MemberUpdateRequest& request) {
  const std::vector<std::string> urls(request.peerurls().begin(), request.peerurls().end());
  outcome_->status = state_.members().CheckUpdate(request.id(), urls);
  if (!outcome_->status.ok()) return;
  Member member = *state_.members().Find(request.id());
  member.peer_urls = urls;
  state_.SetMember(writer(), std::move(member));
  notices_->push_back([](ApplySink& sink) { sink.OnMembersChanged(); });
}

}  // namespace keel::kvstore
