// The client's token: got for its name and password, shown with every request,
// got anew when a server does not know it any more. Internal to the client.
//
//   if (login.needed()) return login.Get([..](const absl::Status& status) { ... });
//   call.metadata = login.Metadata();
//   ...
//   if (login.IsAboutToken(status)) { login.Forget(token); ... try again }
//
// Everything happens on the client's loop.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kvstore/client/options.h"

namespace keel::kvstore {

class Login {
 public:
  using Done = absl::AnyInvocable<void(const absl::Status&)>;
  // Makes the Authenticate call with an encoded request.
  using Ask = std::function<void(std::string request,
                                 absl::AnyInvocable<void(absl::StatusOr<std::string>)> done)>;

  explicit Login(const ClientOptions& options)
      : username_(options.username), password_(options.password) {}

  // Whether a token must be got first: there is a user's name, and no token for it.
  bool needed() const { return !username_.empty() && !off_ && token_.empty(); }
  const std::string& token() const { return token_; }
  std::vector<std::pair<std::string, std::string>> Metadata() const;

  // Asks for a token; those who come while one is on its way wait for the same. OK too when the
  // servers have authentication switched off: then there is nothing to show.
  void Get(const Ask& ask, Done done);

  // Whether a request was refused for its token alone, so that a new one may help.
  bool IsAboutToken(const absl::Status& status) const;
  // `token` was refused; no effect when there is a newer one.
  void Forget(const std::string& token);

 private:
  void OnAnswer(absl::StatusOr<std::string> bytes);

  const std::string username_;
  const std::string password_;
  std::string token_;
  bool off_ = false;  // the servers want no token, as far as is known
  std::vector<Done> waiting_;
};

}  // namespace keel::kvstore
