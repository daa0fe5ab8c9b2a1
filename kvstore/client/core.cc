#include "kvstore/client/core.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/client/retry.h"

namespace keel::kvstore {
namespace {

constexpr base::Duration kBackoffMin = std::chrono::milliseconds(25);
constexpr base::Duration kBackoffMax = std::chrono::seconds(1);
// Of one call: users may be changed again and again.
constexpr int kLoginsMax = 5;
constexpr base::Duration kLeaderSearchInterval = std::chrono::seconds(10);
// Writes wait this long for the first search, so not longer than they might
// take by way of another member.
constexpr base::Duration kLeaderSearchTimeout = std::chrono::milliseconds(300);

}  // namespace

struct ClientCore::Operation {
  std::string_view path;
  Repeat repeat;
  std::string request;
  base::TimePoint deadline;
  base::TimePoint dial_deadline;  // meets no connection until then: fails
  std::optional<size_t> pinned;   // to one channel
  Done done;

  std::vector<bool> tried;                // of this round
  std::vector<absl::Status> unconnected;  // of this round
  int rounds = 0;
  base::TimerId timer = 0;
  std::string token;     // shown with the last attempt
  int logins = 0;        // that it has waited for, after a refusal of its token
  bool anybody = false;  // needs no token
};

ClientCore::ClientCore(base::AsioLoop& loop, ClientOptions options,
                       std::vector<std::string> addresses, std::shared_ptr<base::TlsContext> tls)
    : loop_(loop),
      options_(std::move(options)),
      login_(options_),
      tls_(std::move(tls)),
      endpoints_(addresses.size()) {
  for (size_t i = 0; i < addresses.size(); ++i) {
    channels_.push_back(
        MakeChannel(addresses[i], WantsTls(options_.endpoints[i], options_.tls.has_value())));
  }
}

std::unique_ptr<rpc::Channel> ClientCore::MakeChannel(const std::string& address, bool secure) {
  rpc::ChannelOptions channel;
  // With several servers one that swallows packets must not use up the time.
  const base::Duration dial =
      std::max<base::Duration>(options_.dial_timeout, std::chrono::milliseconds(100));
  channel.connect_timeout = endpoints_.size() > 1 ? dial / 2 : dial;
  channel.keepalive_interval = options_.keepalive_interval;
  channel.keepalive_timeout = options_.keepalive_timeout;
  if (secure) channel.tls = tls_;
  return std::make_unique<rpc::Channel>(loop_, address, channel);
}

absl::StatusOr<size_t> ClientCore::IndexOf(std::string_view endpoint) {
  KEEL_ASSIGN_OR_RETURN(const std::string address, ParseEndpoint(endpoint));
  const bool secure = WantsTls(endpoint, options_.tls.has_value());
  if (secure && tls_ == nullptr) {
    return absl::InvalidArgumentError(
        base::StrCat("endpoint \"", endpoint, "\": the client was made without TLS"));
  }
  for (size_t i = 0; i < channels_.size(); ++i) {
    if (channels_[i]->target() == address) return i;
  }
  channels_.push_back(MakeChannel(address, secure));
  return channels_.size() - 1;
}

void ClientCore::Call(std::string_view path, Repeat repeat, std::string request,
                      const RpcOptions& options, Done done) {
  auto op = std::make_shared<Operation>();
  op->path = path;
  op->repeat = repeat;
  op->request = std::move(request);
  const base::TimePoint now = loop_.Now();
  op->deadline =
      now + (options.timeout > base::Duration::zero() ? options.timeout : options_.request_timeout);
  op->dial_deadline = now + options_.dial_timeout;
  op->done = std::move(done);
  loop_.Post([self = shared_from_this(), op = std::move(op), endpoint = options.endpoint] {
    if (self->closed_) return op->done(absl::CancelledError("the client is closed"));
    if (!endpoint.empty()) {
      auto index = self->IndexOf(endpoint);
      if (!index.ok()) return op->done(index.status());
      op->pinned = *index;
    }
    self->operations_.insert(op);
    if (op->repeat == Repeat::kNever && !op->pinned) {
      const bool first = !self->leader_sought_at_ || !self->waiting_for_leader_.empty();
      self->FindLeader();
      if (first && self->leader_answers_awaited_ > 0) {
        return self->waiting_for_leader_.push_back(op);
      }
    }
    self->Begin(op);
  });
}

void ClientCore::LogIn(Login::Done done) {
  using Authenticate = RpcOf<etcdserverpb::AuthenticateRequest>;
  login_.Get(
      [this](std::string request, Done answered) {
        Call(Authenticate::kPath, Repeat::kAlways, std::move(request), {}, std::move(answered));
      },
      std::move(done));
}

void ClientCore::Begin(const OperationPtr& op) {
  op->anybody = op->path == RpcOf<etcdserverpb::AuthenticateRequest>::kPath;
  if (op->anybody || !login_.needed()) return Attempt(op);
  LogIn([self = shared_from_this(), op](const absl::Status& status) {
    if (!self->operations_.contains(op)) return;  // the client was closed
    if (!status.ok()) return self->Finish(op, status);
    self->Attempt(op);
  });
}

void ClientCore::Attempt(const OperationPtr& op) {
  const base::TimePoint now = loop_.Now();
  std::optional<size_t> index = op->pinned;
  if (!op->pinned) {
    index = endpoints_.Pick(now, op->repeat == Repeat::kNever, op->tried);
    KEEL_CHECK(index.has_value(), "no server left to try in this round");
    op->tried.resize(endpoints_.size());
    op->tried[*index] = true;
  }

  rpc::CallOptions call;
  call.deadline = op->deadline;
  if (!op->anybody) {
    op->token = login_.token();
    call.metadata = login_.Metadata();
  }
  // A server that neither answers nor refuses must leave time for the others.
  const bool others =
      !op->pinned && std::find(op->tried.begin(), op->tried.end(), false) != op->tried.end();
  if (others && op->repeat == Repeat::kAlways) call.deadline = now + (op->deadline - now) / 2;
  channels_[*index]->Call(
      op->path, op->request, std::move(call),
      [self = shared_from_this(), op, i = *index](absl::StatusOr<std::string> response) {
        self->OnAttempt(op, i, std::move(response));
      });
}

void ClientCore::OnAttempt(const OperationPtr& op, size_t index,
                           absl::StatusOr<std::string> response) {
  if (response.ok()) {
    if (!op->pinned) endpoints_.Succeeded(index);
    return Finish(op, std::move(response));
  }
  const base::TimePoint now = loop_.Now();
  absl::Status status = response.status();
  // Refused before anything was done: once more with a new token.
  if (!op->anybody && login_.IsAboutToken(status) && op->logins < kLoginsMax && !closed_ &&
      now < op->deadline) {
    ++op->logins;
    op->tried.clear();
    login_.Forget(op->token);
    return Begin(op);
  }
  Failure failure = Classify(status);
  // The attempt's own limit, not the call's.
  if (absl::IsDeadlineExceeded(status) && now < op->deadline) failure = Failure::kUnknown;
  if (closed_ || !MayRepeat(failure, op->repeat)) {
    const bool silent = failure == Failure::kUnknown || absl::IsDeadlineExceeded(status);
    if (silent && !op->pinned) endpoints_.Failed(index, now);
    return Finish(op, std::move(status));
  }
  if (failure == Failure::kNotConnected) op->unconnected.push_back(status);
  if (!op->pinned) {
    if (failure == Failure::kNotApplied) {
      endpoints_.ForgetLeader();
    } else {
      endpoints_.Failed(index, now);
    }
    const bool untried = std::find(op->tried.begin(), op->tried.end(), false) != op->tried.end();
    if (untried && now < op->deadline) return Attempt(op);
  }
  NextRound(op, std::move(status));
}

void ClientCore::NextRound(const OperationPtr& op, absl::Status last) {
  const base::TimePoint now = loop_.Now();
  const size_t servers = op->pinned ? 1 : endpoints_.size();
  const bool none_connected = op->unconnected.size() == servers;
  const base::Duration pause = Backoff(op->rounds++);
  if (none_connected && now + pause >= std::min(op->dial_deadline, op->deadline)) {
    return Finish(op, NoEndpointAnswers(op->unconnected));
  }
  if (now + pause >= op->deadline) return Finish(op, std::move(last));
  op->tried.clear();
  op->unconnected.clear();
  op->timer = loop_.After(pause, [self = shared_from_this(), op] {
    op->timer = 0;
    self->Attempt(op);
  });
}

void ClientCore::Finish(const OperationPtr& op, absl::StatusOr<std::string> result) {
  KEEL_CHECK(operations_.erase(op) == 1, "a call finished twice");
  std::move(op->done)(std::move(result));
}

void ClientCore::FindLeader() {
  if (!options_.follow_leader || endpoints_.size() < 2) return;
  const base::TimePoint now = loop_.Now();
  const base::Duration interval =
      endpoints_.leader() ? kLeaderSearchInterval : std::chrono::milliseconds(500);
  if (leader_sought_at_ && now - *leader_sought_at_ < interval) return;
  leader_sought_at_ = now;
  leader_answers_awaited_ += endpoints_.size();
  for (size_t i = 0; i < endpoints_.size(); ++i) {
    channels_[i]->Call(RpcOf<etcdserverpb::StatusRequest>::kPath, std::string(),
                       {.deadline = now + kLeaderSearchTimeout, .metadata = login_.Metadata()},
                       [self = shared_from_this(), i](absl::StatusOr<std::string> response) {
                         etcdserverpb::StatusResponse status;
                         if (response.ok() && status.ParseFromString(*response)) {
                           self->endpoints_.Learned(i, status.header().member_id(), status.leader(),
                                                    status.raftterm());
                         }
                         --self->leader_answers_awaited_;
                         self->LeaderSought();
                       });
  }
}

void ClientCore::LeaderSought() {
  if (leader_answers_awaited_ > 0 && !endpoints_.leader()) return;
  for (const OperationPtr& op : std::exchange(waiting_for_leader_, {})) Begin(op);
}

base::Duration ClientCore::Backoff(int rounds) {
  const base::Duration full =
      std::min(kBackoffMin * (int64_t{1} << std::min(rounds, 10)), kBackoffMax);
  // Spread, so that the clients of a restarted server do not return as one.
  return std::chrono::duration_cast<base::Duration>(full * absl::Uniform(random_, 0.5, 1.0));
}

void ClientCore::Close() {
  if (std::exchange(closed_, true)) return;
  std::vector<OperationPtr> waiting = std::exchange(waiting_for_leader_, {});
  for (const OperationPtr& op : operations_) {
    if (op->timer != 0) waiting.push_back(op);
  }
  for (const OperationPtr& op : waiting) {
    loop_.Cancel(op->timer);
    Finish(op, absl::CancelledError("the client is closed"));
  }
  for (auto& channel : channels_) channel->Close();
  KEEL_CHECK(operations_.empty(), "a client closed within its own callback");
  // Now, for the loop need not outlive the handles that still hold this.
  channels_.clear();
}

absl::Status NoEndpointAnswers(const std::vector<absl::Status>& errors) {
  std::string text = "no endpoint answers: ";
  bool first = true;
  for (const absl::Status& error : errors) {
    // "connect HOST:PORT: Reason"
    std::string_view message = base::ToStd(error.message());
    if (message.starts_with("connect ")) message.remove_prefix(8);
    std::string reason(message);
    if (const size_t at = reason.rfind(": "); at != std::string::npos && at + 2 < reason.size()) {
      reason[at + 2] = static_cast<char>(std::tolower(static_cast<unsigned char>(reason[at + 2])));
    }
    text += first ? "" : ", ";
    text += reason;
    first = false;
  }
  return absl::UnavailableError(text);
}

}  // namespace keel::kvstore
