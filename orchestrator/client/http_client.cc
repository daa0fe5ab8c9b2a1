// ApiClient over HTTP: a pool of kept-alive connections, and one connection for each watch.
#include <sys/stat.h>

#include <algorithm>
#include <deque>
#include <fstream>
#include <iterator>
#include <list>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "base/asio_loop.h"
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/client/api_client.h"
#include "orchestrator/client/http_connection.h"
#include "orchestrator/client/watch_lines.h"

namespace keel::orchestrator {
namespace {

using base::StrCat;
using internal::HttpConnection;
using internal::HttpTarget;

class HttpClient;

// What all requests have in common: where to, and who asks.
struct Shared {
  Shared(base::AsioLoop& l, ClientConfig c) : loop(l), config(std::move(c)) {}

  const HttpTarget& target() const { return targets[current % targets.size()]; }
  // After a connection to `from` failed; others may have moved on already.
  void MoveOn(const std::string& from) {
    if (target().authority == from) current = (current + 1) % targets.size();
  }

  std::string Head(std::string_view method, std::string_view path, std::string_view content_type,
                   size_t body_bytes) {
    std::string head =
        StrCat(method, " ", path, " HTTP/1.1\r\nHost: ", target().authority,
               "\r\nUser-Agent: ", config.user_agent, "\r\nAccept: application/json\r\n");
    if (!content_type.empty()) head += StrCat("Content-Type: ", content_type, "\r\n");
    if (body_bytes > 0 || method == "POST" || method == "PUT" || method == "PATCH") {
      head += StrCat("Content-Length: ", body_bytes, "\r\n");
    }
    if (const std::string& bearer = Token(); !bearer.empty()) {
      head += StrCat("Authorization: Bearer ", bearer, "\r\n");
    }
    head += "\r\n";
    return head;
  }

  const std::string& Token() {
    if (config.token_file.empty()) return config.token;
    struct stat info {};
    if (::stat(config.token_file.c_str(), &info) == 0) {
      const std::pair stamp(info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
      if (stamp != token_stamp) {
        token_stamp = stamp;
        std::ifstream file(config.token_file);
        config.token.assign(std::istreambuf_iterator<char>(file), {});
        while (!config.token.empty() &&
               std::isspace(static_cast<unsigned char>(config.token.back()))) {
          config.token.pop_back();
        }
      }
    }
    return config.token;
  }

  base::AsioLoop& loop;
  ClientConfig config;
  std::vector<HttpTarget> targets;
  size_t current = 0;
  std::pair<time_t, long> token_stamp{};
};

struct Waiting {
  std::string method, path, content_type, body;
  ApiClient::DoneBytes done;
  size_t tries = 0;
  base::TimePoint deadline{};

  bool is_read() const { return method == "GET"; }
};

// One place of the pool: a connection and what it is asked at the moment.
class Slot final : public HttpConnection::User {
 public:
  Slot(HttpClient& client, std::shared_ptr<Shared> shared)
      : client_(client), shared_(std::move(shared)) {}
  ~Slot() override {
    shared_->loop.Cancel(timer_);
    if (connection_ != nullptr) connection_->Close();
  }

  bool busy() const { return task_ != nullptr; }
  bool connected() const { return connection_ != nullptr; }
  void Start(std::unique_ptr<Waiting> task);

 private:
  void OnHead(int code) override { code_ = code; }
  void OnBody(std::string_view bytes) override { body_.append(bytes); }
  void OnDone(bool reusable) override;
  void OnFailed(const absl::Status& why, bool sent) override;
  void OnIdleClosed() override { connection_ = nullptr; }
  void Answer(absl::StatusOr<std::string> answer);

  HttpClient& client_;
  const std::shared_ptr<Shared> shared_;
  std::shared_ptr<HttpConnection> connection_;
  std::string authority_;
  std::unique_ptr<Waiting> task_;
  base::TimerId timer_ = 0;
  int code_ = 0;
  std::string body_;
};

class HttpWatch final : public ApiClient::WatchHandle, public HttpConnection::User {
 public:
  HttpWatch(std::shared_ptr<Shared> shared, const std::string& path,
            absl::AnyInvocable<void(const WatchEvent&)> on_event,
            absl::AnyInvocable<void(absl::Status)> on_end)
      : shared_(std::move(shared)),
        on_event_(std::move(on_event)),
        on_end_(std::move(on_end)),
        authority_(shared_->target().authority),
        connection_(HttpConnection::Make(shared_->loop, shared_->target())) {
    connection_->Ask(this, shared_->Head("GET", path, {}, 0), {});
  }
  ~HttpWatch() override {
    connection_->Close();
    if (destroyed_ != nullptr) *destroyed_ = true;
  }

 private:
  void OnHead(int code) override { code_ = code; }
  void OnBody(std::string_view bytes) override {
    if (ended_) return;
    if (code_ != 200) {
      lines_.rest().append(bytes);
      return;
    }
    bool destroyed = false;
    destroyed_ = &destroyed;
    absl::Status status = lines_.Add(bytes, [&](const WatchEvent& event) {
      on_event_(event);
      return !destroyed;
    });
    if (destroyed) return;
    destroyed_ = nullptr;
    if (!status.ok()) End(std::move(status));
  }
  void OnDone(bool) override {
    if (code_ != 200) return End(StatusFromResponse(code_, lines_.rest()));
    End(absl::OkStatus());
  }
  void OnFailed(const absl::Status& why, bool) override {
    if (code_ == 0) shared_->MoveOn(authority_);
    End(why);
  }
  void End(absl::Status status) {
    if (std::exchange(ended_, true)) return;
    connection_->Close();
    auto on_end = std::move(on_end_);
    on_end(std::move(status));  // may destroy this
  }

  const std::shared_ptr<Shared> shared_;
  absl::AnyInvocable<void(const WatchEvent&)> on_event_;
  absl::AnyInvocable<void(absl::Status)> on_end_;
  const std::string authority_;
  std::shared_ptr<HttpConnection> connection_;
  internal::WatchLines lines_;
  int code_ = 0;
  bool ended_ = false;
  bool* destroyed_ = nullptr;
};

class HttpClient final : public ApiClient {
 public:
  explicit HttpClient(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  void CallBytes(std::string_view method, std::string path, std::string_view content_type,
                 std::string body, DoneBytes done) override {
    auto task = std::make_unique<Waiting>();
    task->method = method;
    task->path = std::move(path);
    task->content_type = content_type;
    task->body = std::move(body);
    task->done = std::move(done);
    task->deadline = shared_->loop.Now() + shared_->config.timeout;
    queue_.push_back(std::move(task));
    Pump();
  }

  void Call(std::string_view method, std::string path, std::string_view content_type,
            std::string body, Done done) override {
    CallBytes(method, std::move(path), content_type, std::move(body),
              [done = std::move(done)](absl::StatusOr<std::string> answer) mutable {
                if (!answer.ok()) return done(answer.status());
                if (answer->empty()) return done(json::value());
                absl::StatusOr<json::value> parsed = ParseJson(*answer);
                if (!parsed.ok()) {
                  return done(Internal(StrCat("the server's answer is not JSON: ",
                                              base::ToStd(parsed.status().message()))));
                }
                done(std::move(parsed));
              });
  }

  std::unique_ptr<WatchHandle> Watch(std::string path,
                                     absl::AnyInvocable<void(const WatchEvent&)> on_event,
                                     absl::AnyInvocable<void(absl::Status)> on_end) override {
    return std::make_unique<HttpWatch>(shared_, path, std::move(on_event), std::move(on_end));
  }

  base::Loop& loop() override { return shared_->loop; }

  // The slot has nothing to do.
  void Free() { Pump(); }
  void Again(std::unique_ptr<Waiting> task) { queue_.push_front(std::move(task)); }

 private:
  void Pump() {
    while (!queue_.empty()) {
      Slot* chosen = nullptr;
      for (Slot& slot : slots_) {
        if (slot.busy()) continue;
        if (chosen == nullptr || (slot.connected() && !chosen->connected())) chosen = &slot;
        if (chosen->connected()) break;
      }
      if (chosen == nullptr) {
        if (slots_.size() >= shared_->config.max_connections) return;
        chosen = &slots_.emplace_back(*this, shared_);
      }
      std::unique_ptr<Waiting> task = std::move(queue_.front());
      queue_.pop_front();
      chosen->Start(std::move(task));
    }
  }

  const std::shared_ptr<Shared> shared_;
  std::deque<std::unique_ptr<Waiting>> queue_;
  std::list<Slot> slots_;
};

void Slot::Start(std::unique_ptr<Waiting> task) {
  task_ = std::move(task);
  code_ = 0;
  body_.clear();
  ++task_->tries;
  const base::Duration left =
      std::max(task_->deadline - shared_->loop.Now(), base::Duration(std::chrono::milliseconds(1)));
  timer_ = shared_->loop.After(left, [this] {
    timer_ = 0;
    connection_->Close();
    connection_ = nullptr;
    Answer(TimedOut(StrCat("no answer from ", authority_, " to ", task_->method, " ", task_->path,
                           " in time")));
  });
  if (connection_ == nullptr || authority_ != shared_->target().authority) {
    if (connection_ != nullptr) connection_->Close();
    authority_ = shared_->target().authority;
    connection_ = HttpConnection::Make(shared_->loop, shared_->target());
  }
  // The body is kept: it may have to be sent to the next server.
  connection_->Ask(
      this, shared_->Head(task_->method, task_->path, task_->content_type, task_->body.size()),
      task_->body);
}

void Slot::OnDone(bool reusable) {
  if (!reusable) connection_ = nullptr;
  if (code_ >= 200 && code_ < 300) return Answer(std::move(body_));
  Answer(StatusFromResponse(code_, body_));
}

void Slot::OnFailed(const absl::Status& why, bool sent) {
  connection_ = nullptr;
  shared_->MoveOn(authority_);
  if ((!sent || task_->is_read()) && task_->tries <= shared_->targets.size()) {
    shared_->loop.Cancel(std::exchange(timer_, 0));
    client_.Again(std::move(task_));
    return client_.Free();
  }
  Answer(Unavailable(base::ToStd(why.message())));
}

void Slot::Answer(absl::StatusOr<std::string> answer) {
  shared_->loop.Cancel(std::exchange(timer_, 0));
  std::unique_ptr<Waiting> task = std::move(task_);
  // The callback may destroy the client, and this with it: it comes last.
  client_.Free();
  task->done(std::move(answer));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ApiClient>> ApiClient::Create(base::AsioLoop& loop,
                                                             ClientConfig config) {
  auto shared = std::make_shared<Shared>(loop, std::move(config));
  std::shared_ptr<base::TlsContext> tls;
  for (const std::string& server : shared->config.servers) {
    bool secure = false;
    KEEL_ASSIGN_OR_RETURN(HttpTarget target, internal::ParseServer(server, &secure));
    if (secure && tls == nullptr) {
      base::TlsOptions options;
      options.trusted_ca_file = shared->config.ca_file;
      options.cert_file = shared->config.cert_file;
      options.key_file = shared->config.key_file;
      options.insecure_skip_verify = shared->config.insecure_skip_tls_verify;
      options.server_name = shared->config.tls_server_name;
      options.protocols = {"http/1.1"};
      KEEL_ASSIGN_OR_RETURN(tls,
                            base::TlsContext::Create(std::move(options), base::TlsRole::kClient));
    }
    if (secure) target.tls = tls;
    shared->targets.push_back(std::move(target));
  }
  if (shared->targets.empty()) return absl::InvalidArgumentError("no server is given");
  shared->config.max_connections = std::max<size_t>(1, shared->config.max_connections);
  return std::make_unique<HttpClient>(std::move(shared));
}

}  // namespace keel::orchestrator
