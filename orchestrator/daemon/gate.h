// Who may read what a daemon shows beside its health. The API server decides, as it does for
// Kubernetes' daemons: it says whose a bearer token is (TokenReview) and whether that user may get
// the path (SubjectAccessReview).
//
//   Gate gate(client);
//   gate.Check(request, [respond = std::move(respond)](absl::Status allowed) mutable {
//     if (!allowed.ok()) return std::move(respond)(Gate::Refusal(allowed));
//     ...
//   });
//
// A certificate counts before a token; without either one asks as system:anonymous. Members of
// system:masters need nobody's leave, so that they can look at a daemon whose API server is gone.
// An API server that checks nobody's rights (--authorization-mode=AlwaysAllow) opens the gate.
//
// Thread-safety: on the client's loop only. Destroyed after the client.
#pragma once

#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "orchestrator/api/json.h"
#include "orchestrator/client/api_client.h"
#include "rpc/http.h"

namespace keel::orchestrator {

class Gate {
 public:
  // Questions to the API server at once: whoever knocks must not keep the daemon from its work.
  static constexpr size_t kMaxOpen = 8;

  using Done = absl::AnyInvocable<void(absl::Status)>;

  explicit Gate(ApiClient& client) : client_(client) {}

  // OK, or Unauthorized, Forbidden, TooManyRequests, and errors of the API server (api/error.h).
  // `done` is called once, maybe inside the call.
  void Check(const rpc::HttpRequest& request, Done done);

  // The answer to who may not.
  static rpc::HttpResponse Refusal(const absl::Status& status);

 private:
  void Ask(const Resource& review, json::object spec, ApiClient::Done done);
  // `user`: username, groups, uid and extra, as a TokenReview has them.
  void Authorize(const json::object& user, std::string verb, std::string path, Done done);

  ApiClient& client_;
  size_t open_ = 0;
};

}  // namespace keel::orchestrator
