#include "kvstore/server/kv_service.h"

#include "base/check.h"
#include "kvstore/apply/check.h"
#include "kvstore/apply/read.h"
#include "kvstore/mvcc/errors.h"
#include "kvstore/server/errors.h"
#include "kvstore/server/service.h"
#include "kvstore/server/space_watch.h"

namespace keel::kvstore {

namespace pb = etcdserverpb;

namespace {

using Call = rpc::ServerCallPtr;
using ViewPtr = ReadGate::ViewPtr;

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
  if (absl::Status status = AppendRange(view, *request, &out); !status.ok())
    return call->Finish(status);
  call->Reply(std::move(out));
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

KvService::KvService(ServerContext* context, Proposals* proposals, std::vector<ReadGate*> gates)
    : context_(context), proposals_(proposals), gates_(std::move(gates)) {}

void KvService::RegisterOn(rpc::Server* server) {
  Register(server, "/etcdserverpb.KV/Range", context_, {.learner_may = true},
           [this](Call call) { Range(std::move(call)); });
  Register(server, "/etcdserverpb.KV/Put", context_, {},
           [this](Call call) { Put(std::move(call)); });
  Register(server, "/etcdserverpb.KV/DeleteRange", context_, {},
           [this](Call call) { DeleteRange(std::move(call)); });
  Register(server, "/etcdserverpb.KV/Txn", context_, {},
           [this](Call call) { Txn(std::move(call)); });
  Register(server, "/etcdserverpb.KV/Compact", context_, {},
           [this](Call call) { Compact(std::move(call)); });
}

ReadGate& KvService::GateOf(const rpc::ServerCall& call) const {
  for (ReadGate* gate : gates_) {
    if (&gate->loop() == &call.loop()) return *gate;
  }
  KEEL_CHECK(false, "a call on a loop without a gate");
  __builtin_unreachable();
}

void KvService::Read(Call call, bool serializable, bool long_read,
                     void (*answer)(const ServerContext&, const Call&, const ReadView&)) {
  if (context_->corrupt.load(std::memory_order_relaxed)) return call->Finish(ErrCorrupt());
  const auto serve = [context = context_, long_read, answer](Call to, ViewPtr view) {
    if (to->cancelled()) return;
    if (!long_read) return answer(*context, to, *view);
    context->NextWorker().Post([context, answer, to = std::move(to), view = std::move(view)] {
      if (!to->cancelled()) answer(*context, to, *view);
    });
  };
  if (serializable) return serve(std::move(call), context_->machine->view());
  ReadGate& gate = GateOf(*call);
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
  Read(std::move(call), request->serializable(), !request->range_end().empty(), AnswerRange);
}

void KvService::Write(CommandField field, Call call) {
  const std::string_view request = call->request();
  proposals_->Propose(
      field, request,
      [context = context_, call = std::move(call)](absl::Status error, ApplyResult* result) {
        if (!error.ok()) return call->Finish(std::move(error));
        if (!result->status.ok()) return call->Finish(std::move(result->status));
        call->Reply(WithHeader(*context, result->revision, result->body));
      });
}

void KvService::Put(Call call) {
  const auto* request = ParseScratch<pb::PutRequest>(call->request());
  if (request == nullptr) return call->Finish(ErrUnmarshal());
  if (absl::Status bad = CheckPut(*request); !bad.ok()) return call->Finish(std::move(bad));
  if (!context_->space->Admit(call->request().size())) return call->Finish(ErrNoSpace());
  Write(CommandField::kPut, std::move(call));
}

void KvService::DeleteRange(Call call) {
  const auto* request = ParseScratch<pb::DeleteRangeRequest>(call->request());
  if (request == nullptr) return call->Finish(ErrUnmarshal());
  if (absl::Status bad = CheckDeleteRange(*request); !bad.ok()) return call->Finish(std::move(bad));
  Write(CommandField::kDeleteRange, std::move(call));
}

void KvService::Txn(Call call) {
  const auto* request = ParseScratch<pb::TxnRequest>(call->request());
  if (request == nullptr) return call->Finish(ErrUnmarshal());
  const auto max_ops = static_cast<int64_t>(context_->config.max_txn_ops);
  if (absl::Status bad = CheckTxn(*request, max_ops); !bad.ok())
    return call->Finish(std::move(bad));
  if (IsReadOnly(*request)) {
    return Read(std::move(call), IsSerializable(*request), ReadsRanges(*request), AnswerReadTxn);
  }
  if ((HasPut(request->success()) || HasPut(request->failure())) &&
      !context_->space->Admit(call->request().size())) {
    return call->Finish(ErrNoSpace());
  }
  Write(CommandField::kTxn, std::move(call));
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
