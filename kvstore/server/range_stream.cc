#include "kvstore/server/range_stream.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "kvstore/apply/check.h"
#include "kvstore/apply/read.h"
#include "kvstore/apply/wire.h"
#include "kvstore/mvcc/errors.h"
#include "kvstore/server/errors.h"
#include "kvstore/server/service.h"

namespace keel::kvstore {

namespace pb = etcdserverpb;

namespace {

// About as much goes into one piece, whatever the size of the values.
constexpr size_t kPieceBytes = 512 << 10;
constexpr int64_t kKeysMax = 64 << 10;
// Ahead of a client that does not read.
constexpr size_t kQueuedBytesMax = 2 * kPieceBytes;

// Sorted by key as the store has them.
bool InOrder(const pb::RangeRequest& request) {
  return request.sort_target() == pb::RangeRequest::KEY &&
         request.sort_order() != pb::RangeRequest::DESCEND;
}

}  // namespace

void RangeStream::RegisterOn(rpc::Server* server, ServerContext* context, AuthGate* auth) {
  RegisterStream(server, "/etcdserverpb.KV/RangeStream", context, {.learner_may = true},
                 [context, auth](rpc::ServerCallPtr call) {
                   call->SetWritableMark(kQueuedBytesMax / 4);
                   return std::make_shared<RangeStream>(std::move(call), context, auth);
                 });
}

void RangeStream::OnMessage(std::string_view message) {
  if (!bytes_.empty() || view_ != nullptr) {
    return call_->Finish(absl::InternalError("grpc: RangeStream takes one request"));
  }
  bytes_ = message;
  if (!request_.ParseFromString(bytes_)) return call_->Finish(ErrUnmarshal());
  if (!request_.serializable() && context_.is_learner.load(std::memory_order_relaxed)) {
    return call_->Finish(ErrNotSupportedForLearner());
  }
  if (absl::Status bad = CheckRange(request_); !bad.ok()) return call_->Finish(std::move(bad));
  if (!InOrder(request_)) {
    return call_->Finish(
        absl::UnimplementedError("etcdserver: a streamed range is sorted by key, ascending"));
  }
  if (context_.corrupt.load(std::memory_order_relaxed)) return call_->Finish(ErrCorrupt());
  if (request_.serializable()) return Admit(context_.machine->view());
  auth_.GateOf(*call_).Read(
      [self = shared_from_this()](absl::StatusOr<ReadGate::ViewPtr> view) mutable {
        if (!view.ok()) return self->call_->Finish(view.status());
        self->Admit(*std::move(view));
      });
}

void RangeStream::Admit(ReadGate::ViewPtr view) {
  if (!context_.auth->enabled()) [[likely]] {
    return Start(std::move(view));
  }
  auth_.Identify(call_, [self = shared_from_this(),
                         view = std::move(view)](absl::StatusOr<Caller> caller) mutable {
    if (!caller.ok()) return self->call_->Finish(caller.status());
    absl::Status refused = CheckRangeAccess(*self->context_.auth, *caller, self->bytes_);
    if (!refused.ok()) return self->call_->Finish(std::move(refused));
    self->Start(std::move(view));
  });
}

void RangeStream::Start(ReadGate::ViewPtr view) {
  view_ = std::move(view);
  next_key_ = request_.key();
  left_ = std::max<int64_t>(request_.limit(), 0);
  PostStep();
}

void RangeStream::PostStep() {
  context_.NextWorker().Post([self = shared_from_this()] { self->Step(); });
}

void RangeStream::OnWritable() {
  if (waiting_.exchange(false)) PostStep();
}

void RangeStream::Step() {
  for (bool last = false; !last && !call_->cancelled();) {
    if (absl::Status failed = Piece(&last); !failed.ok()) return call_->Finish(std::move(failed));
    if (last) return call_->Finish(absl::OkStatus());
    if (call_->queued_bytes() <= kQueuedBytesMax) continue;
    // First said, then looked at again: either this or OnWritable goes on.
    waiting_.exchange(true);
    if (call_->queued_bytes() > kQueuedBytesMax || !waiting_.exchange(false)) return;
  }
}

absl::Status RangeStream::Piece(bool* last) {
  RangeOptions options = ToRangeOptions(request_);
  options.key = next_key_;
  if (!request_.count_only()) options.limit = left_ > 0 ? std::min(keys_, left_) : keys_;
  std::string body;
  std::string last_key;
  int64_t keys = 0;
  KEEL_ASSIGN_OR_RETURN(const RangeResult part,
                        view_->Range(options, [&](const RecordView& record) {
                          AppendKeyValue(pb::RangeResponse::kKvsFieldNumber, record, &body);
                          last_key.assign(record.key);
                          ++keys;
                        }));
  if (left_ > 0) left_ -= keys;
  const bool limited = request_.limit() > 0 && left_ == 0;
  *last = !part.more || limited || request_.count_only();
  if (*last) {
    context_.AppendHeader(view_->revision(), &body);
    int64_t count = part.count;
    if (next_key_ != request_.key()) {
      RangeOptions all = ToRangeOptions(request_);
      all.count_only = true;
      all.limit = 0;
      KEEL_ASSIGN_OR_RETURN(const RangeResult counted, view_->Range(all, [](const RecordView&) {}));
      count = counted.count;
    }
    AppendVarintField(pb::RangeResponse::kMoreFieldNumber, part.more, &body);
    AppendVarintField(pb::RangeResponse::kCountFieldNumber, static_cast<uint64_t>(count), &body);
  } else {
    next_key_ = last_key + '\0';
    keys_ = body.size() < kPieceBytes / 2 ? keys_ * 2
            : body.size() > kPieceBytes   ? keys_ / 2
                                          : keys_;
    keys_ = std::clamp<int64_t>(keys_, 1, kKeysMax);
  }
  std::string head;
  AppendLength(pb::RangeStreamResponse::kRangeResponseFieldNumber, body.size(), &head);
  call_->Send(rpc::Message(std::move(head), std::make_shared<const std::string>(std::move(body))));
  return absl::OkStatus();
}

}  // namespace keel::kvstore
