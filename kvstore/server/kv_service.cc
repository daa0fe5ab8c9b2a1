#include "kvstore/server/kv_service.h"

#include <utility>

#include "base/check.h"
#include "kvstore/apply/check.h"
#include "kvstore/apply/command.h"
#include "kvstore/apply/read.h"
#include "kvstore/auth/errors.h"
#include "kvstore/mvcc/errors.h"
#include "kvstore/server/errors.h"
#include "kvstore/server/service.h"
#include "kvstore/server/space_watch.h"
#include "kvstore/server/write.h"

namespace keel::kvstore {

namespace pb = etcdserverpb;

namespace {

using Call = rpc::ServerCallPtr;
using ViewPtr = ReadGate::ViewPtr;

// Of an answer that is sent in pieces, and what a key-value of the usual size may go beyond.
constexpr size_t kPieceBytes = 120 << 10;
constexpr size_t kPieceMarginBytes = 4 << 10;

bool HasPut(const google::protobuf::RepeatedPtrField<pb::RequestOp>& operations) {
  for (const pb::RequestOp& operation : operations) {
    if (operation.has_request_put()) return true;
  }
  return false;
}

// Whether a read of the transaction covers more than single keys.
bool ReadsRanges(const pb::TxnRequest& request) {
  for (const pb::Compare& compare : request.compare()) {
    if (!compare.range_end().empty()) return true;
  }
  for (const auto* operations : {&request.success(), &request.failure()}) {
    for (const pb::RequestOp& operation : *operations) {
      if (operation.has_request_range() && !operation.request_range().range_end().empty())
        return true;
      if (operation.has_request_txn() && ReadsRanges(operation.request_txn())) return true;
    }
  }
  return false;
}

// The request is parsed again where it is answered: cheaper than carrying the
// parsed message along, which would be one more allocation.
void AnswerRange(const ServerContext& context, const Call& call, const ReadView& view) {
  const auto* request = ParseScratch<pb::RangeRequest>(call->request());
  KEEL_CHECK(request != nullptr);
  std::string out;
  context.AppendHeader(view.revision(), &out);
  if (request->range_end().empty()) {
    if (absl::Status status = AppendRange(view, *request, &out); !status.ok())
      return call->Finish(status);
    return call->Reply(std::move(out));
  }
  // A long answer lies in pieces that are never moved: one string that grows would be copied, and
  // touch fresh memory, three times over.
  rpc::Message answer;
  const auto full = [&] {
    answer.shared.push_back(std::make_shared<const std::string>(std::move(out)));
    out = std::string();
    out.reserve(kPieceBytes + kPieceMarginBytes);
  };
  if (absl::Status status = AppendRange(view, *request, kPieceBytes, full, &out); !status.ok())
    return call->Finish(status);
  if (answer.shared.empty()) return call->Reply(std::move(out));
  if (!out.empty()) answer.shared.push_back(std::make_shared<const std::string>(std::move(out)));
  call->Reply(std::move(answer));
}

void AnswerReadTxn(const ServerContext& context, const Call& call, const ReadView& view) {
  const auto* request = ParseScratch<pb::TxnRequest>(call->request());
  KEEL_CHECK(request != nullptr);
  std::string out;
  context.AppendHeader(view.revision(), &out);
  if (absl::Status status = AppendReadTxn(view, *request, &out); !status.ok())
    return call->Finish(status);
  call->Reply(std::move(out));
}

}  // namespace

KvService::KvService(ServerContext* context, Proposals* proposals, AuthGate* auth)
    : context_(context), proposals_(proposals), auth_(auth) {}

void KvService::RegisterOn(rpc::Server* server) {
  Register(server, "/etcdserverpb.KV/Range", context_, {.learner_may = true},
           [this](Call call) { Range(std::move(call)); });
  Register(server, "/etcdserverpb.KV/Put", context_, {},
           [this](Call call) { Put(std::move(call)); });
  Register(server, "/etcdserverpb.KV/DeleteRange", context_, {},
           [this](Call call) { DeleteRange(std::move(call)); });
  Register(server, "/etcdserverpb.KV/Txn", context_, {},
           [this](Call call) { Txn(std::move(call)); });
  Register(server, "/etcdserverpb.KV/Compact", context_, {.who = Who::kRoot},
           [this](Call call) { Compact(std::move(call)); });
}

void KvService::Serve(Call to, ViewPtr view, bool long_read, AnswerRead answer) {
  if (to->cancelled()) return;
  if (!long_read) return answer(*context_, to, *view);
  context_->NextWorker().Post(
      [context = context_, answer, to = std::move(to), view = std::move(view)] {
        if (!to->cancelled()) answer(*context, to, *view);
      });
}

void KvService::Read(Call call, bool serializable, bool long_read, AnswerRead answer,
                     AccessCheck check) {
  if (context_->corrupt.load(std::memory_order_relaxed)) return call->Finish(ErrCorrupt());
  // Who may read is asked with the view in hand: a member that is behind learns only by the read
  // index that it must ask at all.
  const auto serve = [this, long_read, answer, check](Call to, ViewPtr view) {
    if (!context_->auth->enabled()) [[likely]] {
      return Serve(std::move(to), std::move(view), long_read, answer);
    }
    auth_->Identify(to, [=, this, view = std::move(view)](absl::StatusOr<Caller> caller) mutable {
      if (!caller.ok()) return to->Finish(caller.status());
      absl::Status refused = check(*context_->auth, *caller, to->request());
      // Users or roles changed since it was identified.
      if (refused == ErrAuthOldRevision()) refused = auth_->AdmitNow(*to, check).status();
      if (!refused.ok()) return to->Finish(std::move(refused));
      Serve(std::move(to), std::move(view), long_read, answer);
    });
  };
  if (serializable) return serve(std::move(call), context_->machine->view());
  ReadGate& gate = auth_->GateOf(*call);
  gate.Read([serve, call = std::move(call)](absl::StatusOr<ViewPtr> view) mutable {
    if (!view.ok()) return call->Finish(view.status());
    serve(std::move(call), *std::move(view));
  });
}

void KvService::Range(Call call) {
  const auto* request = ParseScratch<pb::RangeRequest>(call->request());
  if (request == nullptr) return call->Finish(ErrUnmarshal());
  if (!request->serializable() && context_->is_learner.load(std::memory_order_relaxed)) {
    return call->Finish(ErrNotSupportedForLearner());
  }
  if (absl::Status bad = CheckRange(*request); !bad.ok()) return call->Finish(std::move(bad));
  Read(std::move(call), request->serializable(), !request->range_end().empty(), AnswerRange,
       CheckRangeAccess);
}

void KvService::Put(Call call) {
  PutView put;
  if (!DecodePut(call->request(), &put).ok()) return call->Finish(ErrUnmarshal());
  if (absl::Status bad = CheckPut(put); !bad.ok()) return call->Finish(std::move(bad));
  if (!context_->space->Admit(call->request().size())) return call->Finish(ErrNoSpace());
  Write(context_, proposals_, CommandField::kPut, std::move(call), CheckPutAccess);
}

void KvService::DeleteRange(Call call) {
  const auto* request = ParseScratch<pb::DeleteRangeRequest>(call->request());
  if (request == nullptr) return call->Finish(ErrUnmarshal());
  if (absl::Status bad = CheckDeleteRange(*request); !bad.ok()) return call->Finish(std::move(bad));
  Write(context_, proposals_, CommandField::kDeleteRange, std::move(call), CheckDeleteAccess);
}

void KvService::Txn(Call call) {
  const auto* request = ParseScratch<pb::TxnRequest>(call->request());
  if (request == nullptr) return call->Finish(ErrUnmarshal());
  const auto max_ops = static_cast<int64_t>(context_->config.max_txn_ops);
  if (absl::Status bad = CheckTxn(*request, max_ops); !bad.ok())
    return call->Finish(std::move(bad));
  if (IsReadOnly(*request)) {
    return Read(std::move(call), IsSerializable(*request), ReadsRanges(*request), AnswerReadTxn,
                CheckTxnAccess);
  }
  if ((HasPut(request->success()) || HasPut(request->failure())) &&
      !context_->space->Admit(call->request().size())) {
    return call->Finish(ErrNoSpace());
  }
  Write(context_, proposals_, CommandField::kTxn, std::move(call), CheckTxnAccess);
}

void KvService::Compact(Call call) {
  const auto* request = ParseScratch<pb::CompactionRequest>(call->request());
  if (request == nullptr) return call->Finish(ErrUnmarshal());
  const int64_t revision = request->revision();
  const bool physical = request->physical();
  const std::string_view bytes = call->request();
  proposals_->Propose(CommandField::kCompaction, bytes,
                      [context = context_, call = std::move(call), revision, physical](
                          absl::Status error, ApplyResult* result) {
                        if (!error.ok()) return call->Finish(std::move(error));
                        if (!result->status.ok()) return call->Finish(std::move(result->status));
                        std::string response = WithHeader(*context, result->revision, result->body);
                        if (!physical) return call->Reply(std::move(response));
                        context->machine->WhenPhysicallyCompacted(
                            revision,
                            [call, response = std::move(response)](absl::Status done) mutable {
                              if (!done.ok()) return call->Finish(std::move(done));
                              call->Reply(std::move(response));
                            });
                      });
}

}  // namespace keel::kvstore
