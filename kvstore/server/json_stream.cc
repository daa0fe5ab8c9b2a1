#include "kvstore/server/json_stream.h"

#include <chrono>
#include <utility>

#include "base/strings.h"

namespace keel::kvstore {

namespace {
// The head waits this long for a first message or an error.
constexpr base::Duration kHeadLimit = std::chrono::milliseconds(100);
// A client that does not read gets no more than this ahead of it (and one message).
constexpr size_t kQueuedBytesMax = 512 << 10;
// Of one request in a streamed body.
constexpr size_t kRequestBytesMax = 2 << 20;
}  // namespace

// The HTTP side, on its connection's loop.
class JsonStream::Front final : public rpc::ServerStreamHandler {
 public:
  explicit Front(std::shared_ptr<JsonStream> stream) : stream_(std::move(stream)) {}
  // Also when the client had gone before the HTTP stream began: the call ends on its loop.
  ~Front() override {
    Do([](JsonStream& stream) { stream.Close(); });
  }

  void OnMessage(std::string_view message) override {
    Do([bytes = std::string(message)](JsonStream& stream) { stream.TakeBody(bytes); });
  }
  void OnHalfClose() override {
    Do([](JsonStream& stream) { stream.EndBody(); });
  }
  void OnWritable() override {
    Do([](JsonStream& stream) { stream.Resume(); });
  }

 private:
  template <typename Task>
  void Do(Task task) {
    stream_->loop_->Dispatch([stream = stream_, task = std::move(task)] { task(*stream); });
  }

  const std::shared_ptr<JsonStream> stream_;
};

void JsonStream::Start(rpc::LocalChannel& channel, const std::string& path,
                       rpc::LocalMetadata metadata, Body body, rpc::HttpRespond respond) {
  respond_.emplace(std::move(respond));
  const std::weak_ptr<JsonStream> weak = weak_from_this();
  rpc::LocalStream::Events events;
  events.on_message = [weak](const std::string& message) {
    if (const auto self = weak.lock()) self->OnMessage(message);
  };
  events.on_end = [weak](const absl::Status& status) {
    if (const auto self = weak.lock()) self->OnEnd(status);
  };
  call_ = channel.OpenStream(path, std::move(metadata), std::move(events));
  if (call_ == nullptr) {
    return OnEnd(absl::UnimplementedError(base::StrCat("unknown method ", path)));
  }
  for (const std::string& message : body.messages) call_->Send(message);
  if (body.streamed) return OpenFront();
  call_->CloseSend();
  // Holds this until the head is sent; from then on, the HTTP stream does.
  head_timer_ = loop_->After(kHeadLimit, [self = shared_from_this()] { self->OpenFront(); });
}

// ---- of the call

void JsonStream::OnMessage(const std::string& wire) {
  const absl::StatusOr<std::string> json = ToJson(response_, wire);
  Write(json.ok() ? base::StrCat("{\"result\":", *json, "}\n")
                  : base::StrCat(StreamErrorJson(json.status()), "\n"));
  if (http_ == nullptr || http_->queued_bytes() > kQueuedBytesMax) call_->Pause();
}

void JsonStream::OnEnd(const absl::Status& status) {
  const auto self = shared_from_this();
  ended_ = true;
  call_.reset();
  if (respond_.has_value() && !status.ok()) {
    head_.status = HttpStatusOf(status.code());
    head_.body = base::StrCat(StreamErrorJson(status), "\n");
    std::move (*respond_)(std::move(head_));
    respond_.reset();
    return Close();
  }
  if (!status.ok()) Write(base::StrCat(StreamErrorJson(status), "\n"));
  OpenFront();
  if (http_ != nullptr) http_->Finish(absl::OkStatus());
}

void JsonStream::Write(std::string line) {
  OpenFront();
  if (http_ != nullptr) {
    http_->Send(std::move(line));
  } else {
    early_.push_back(std::move(line));
  }
}

void JsonStream::OpenFront() {
  if (!respond_.has_value() || closed_) return;
  rpc::HttpRespond respond = *std::exchange(respond_, std::nullopt);
  loop_->Cancel(head_timer_);
  const auto front = std::make_shared<Front>(shared_from_this());
  std::move(respond).Stream(std::move(head_),
                            [self = shared_from_this(), front](rpc::ServerCallPtr http) {
                              http->SetWritableMark(kQueuedBytesMax / 4);
                              // Not inside what may be a delivery of the call.
                              self->loop_->Post([self, http] { self->Opened(http); });
                              return front;
                            });
}

void JsonStream::Close() {
  const auto self = shared_from_this();
  closed_ = true;
  loop_->Cancel(head_timer_);
  call_.reset();
  http_.reset();
}

// ---- of the HTTP stream

void JsonStream::Opened(rpc::ServerCallPtr http) {
  if (closed_) return;
  http_ = std::move(http);
  for (std::string& line : std::exchange(early_, {})) http_->Send(std::move(line));
  if (ended_) return http_->Finish(absl::OkStatus());
  if (http_->queued_bytes() <= kQueuedBytesMax) call_->Resume();
}

void JsonStream::TakeBody(std::string_view bytes) {
  if (closed_ || call_ == nullptr) return;
  values_.Feed(bytes);
  while (std::optional<std::string> value = values_.Next()) {
    const absl::StatusOr<std::string> wire = ToWire(request_, *value);
    if (!wire.ok()) return OnEnd(wire.status());
    call_->Send(*wire);
  }
  if (values_.broken()) {
    return OnEnd(absl::InvalidArgumentError("the body is no sequence of JSON objects"));
  }
  if (values_.waiting_bytes() > kRequestBytesMax) {
    OnEnd(absl::ResourceExhaustedError("a request of the body is too large"));
  }
}

void JsonStream::EndBody() {
  if (call_ != nullptr) call_->CloseSend();
}

void JsonStream::Resume() {
  if (call_ != nullptr) call_->Resume();
}

}  // namespace keel::kvstore
