#include "kvstore/client/login.h"

#include "base/strings.h"
#include "kvstore/api/rpc.pb.h"

namespace keel::kvstore {

namespace {
constexpr std::string_view kOff = "etcdserver: authentication is not enabled";
constexpr std::string_view kInvalid = "etcdserver: invalid auth token";
constexpr std::string_view kOld = "etcdserver: revision of auth store is old";
constexpr std::string_view kNobody = "etcdserver: user name is empty";
}  // namespace

std::vector<std::pair<std::string, std::string>> Login::Metadata() const {
  if (token_.empty()) return {};
  return {{"token", token_}};
}

void Login::Get(const Ask& ask, Done done) {
  waiting_.push_back(std::move(done));
  if (waiting_.size() > 1) return;
  etcdserverpb::AuthenticateRequest request;
  request.set_name(username_);
  request.set_password(password_);
  ask(request.SerializeAsString(),
      [this](absl::StatusOr<std::string> bytes) { OnAnswer(std::move(bytes)); });
}

void Login::OnAnswer(absl::StatusOr<std::string> bytes) {
  absl::Status status = bytes.status();
  if (status.ok()) {
    etcdserverpb::AuthenticateResponse response;
    if (response.ParseFromString(*bytes)) {
      token_ = response.token();
    } else {
      status = absl::InternalError("the server sent a malformed response");
    }
  } else if (base::ToStd(status.message()) == kOff) {
    off_ = true;
    status = absl::OkStatus();
  }
  std::vector<Done> ready;
  ready.swap(waiting_);
  for (Done& done : ready) done(status);
}

bool Login::IsAboutToken(const absl::Status& status) const {
  if (username_.empty()) return false;
  const std::string_view text = base::ToStd(status.message());
  return text == kInvalid || text == kOld || text == kNobody;
}

void Login::Forget(const std::string& token) {
  if (token != token_) return;
  token_.clear();
  off_ = false;
}

}  // namespace keel::kvstore
