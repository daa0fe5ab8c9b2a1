#include "kvstore/server/write.h"

#include <utility>

#include "kvstore/auth/errors.h"
#include "kvstore/server/service.h"

namespace keel::kvstore {

namespace {

// Users and roles that change more often than this during one request must wait.
constexpr int kMaxTries = 10;

void Answer(const ServerContext& context, const rpc::ServerCallPtr& call, absl::Status error,
            ApplyResult* result) {
  if (!error.ok()) return call->Finish(std::move(error));
  if (!result->status.ok()) return call->Finish(std::move(result->status));
  call->Reply(WithHeader(context, result->revision, result->body));
}

void WriteAs(ServerContext* context, Proposals* proposals, CommandField field,
             rpc::ServerCallPtr call, AccessCheck check, int tries) {
  const auto propose = [=](rpc::ServerCallPtr admitted, Caller caller) {
    const std::string_view request = admitted->request();
    proposals->Propose(
        field, request,
        [=, call = std::move(admitted)](absl::Status error, ApplyResult* result) mutable {
          if (error.ok() && result->status == ErrAuthOldRevision() && tries < kMaxTries) {
            base::Loop& loop = call->loop();
            return loop.Post([=, call = std::move(call)]() mutable {
              WriteAs(context, proposals, field, std::move(call), check, tries + 1);
            });
          }
          Answer(*context, call, std::move(error), result);
        },
        /*only_in_term=*/0, &caller);
  };
  context->auth_gate->Admit(std::move(call), check, propose);
}

}  // namespace

void Write(ServerContext* context, Proposals* proposals, CommandField field,
           rpc::ServerCallPtr call, AccessCheck check) {
  if (context->auth->enabled()) [[unlikely]] {
    return WriteAs(context, proposals, field, std::move(call), check, 0);
  }
  const std::string_view request = call->request();
  // Two words of capture, so that the answer costs no allocation for it.
  proposals->Propose(field, request,
                     [context, call = std::move(call)](absl::Status error, ApplyResult* result) {
                       Answer(*context, call, std::move(error), result);
                     });
}

}  // namespace keel::kvstore
