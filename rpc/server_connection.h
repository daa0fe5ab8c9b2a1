// The server's side of one HTTP/2 connection: calls come in as streams.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rpc/http2_connection.h"
#include "rpc/server_loop.h"
#include "rpc/token_bucket.h"

namespace keel::rpc::internal {

class ServerConnection;

struct ServerStream final : Http2Stream {
  enum class Kind { kUnary, kStream, kHttp, kHttpStream, kRejected };

  void OnDeadline() override;

  ServerConnection* connection = nullptr;
  Kind kind = Kind::kRejected;
  const ServerMethod* method = nullptr;
  ServerCallPtr call;  // null once the call has ended, and when rejected
  std::shared_ptr<ServerStreamHandler> handler;
  absl::AnyInvocable<void()> on_cancel;
  bool headers_sent = false;
  bool got_message = false;  // unary: the request is complete
  bool parked = false;
  bool streams_body = false;  // of an HTTP request
  std::unique_ptr<HttpRequest> http;
  absl::Status status;      // to go out in the trailers
  size_t queued_bytes = 0;  // unary: counted in the connection's

  // Of the request's headers.
  bool post = false;
  bool grpc = false;
  bool has_timeout = false;
  size_t header_bytes = 0;
  std::string timeout;
  std::string encoding;
  std::string http_method;
  std::string path;  // when no method has it
  std::string content_type;
  std::vector<std::pair<std::string, std::string>> metadata;
};

class ServerConnection final : public Http2Connection, public ServerMember {
 public:
  ServerConnection(std::shared_ptr<ServerLoop> loop, Socket socket);
  ~ServerConnection() override;

  // `first` is what was read to recognise the protocol.
  void Start(std::string_view first);

  // Of a call, on the loop. No-ops when it has ended.
  static void Handle(CallOp& op);
  static void OnCancel(ServerCall& call, absl::AnyInvocable<void()> callback);
  static void RespondHttp(ServerCall& call, HttpResponse response);
  static void StreamHttp(ServerCall& call, HttpResponse head, HttpStreamFactory factory);

  void OnStreamDeadline(ServerStream& stream);

  // ServerMember:
  void StartDrain() override;
  void CloseNow() override;

 private:
  // Callbacks of the session.
  static int OnBeginHeaders(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                      size_t name_size, const uint8_t* value, size_t value_size, uint8_t flags,
                      void* self);
  static int OnFrameReceived(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static int OnData(nghttp2_session*, uint8_t flags, int32_t stream_id, const uint8_t* data,
                    size_t size, void* self);
  static int OnStreamClosed(nghttp2_session*, int32_t stream_id, uint32_t error_code, void* self);
  static int OnFrameSent(nghttp2_session*, const nghttp2_frame* frame, void* self);
  ServerStream* Find(int32_t stream_id);

  // Requests.
  void TakeHeader(ServerStream& stream, std::string_view name, std::string_view value);
  void StartRequest(ServerStream& stream);
  void StartCall(ServerStream& stream);
  void TakeData(ServerStream& stream, std::string_view data);
  void DeliverMessages(ServerStream& stream, std::string_view data);
  void InputEnded(ServerStream& stream);
  void Dispatch(ServerStream& stream);
  void DispatchParked();
  void StartHttp(ServerStream& stream);
  void DispatchHttp(ServerStream& stream);
  void SubmitHttpHead(ServerStream& stream, const HttpResponse& head, bool with_length,
                      bool with_body);

  // Answers.
  void SubmitHeaders(ServerStream& stream);
  void SubmitTrailersOnly(ServerStream& stream, const absl::Status& status);
  void Reject(ServerStream& stream, absl::Status status);
  void Fail(ServerStream& stream, absl::Status status);
  void ReplyTo(ServerStream& stream, Message message);
  void SendTo(ServerStream& stream, Message message);
  void FinishStream(ServerStream& stream, absl::Status status);
  void ResumeReading(ServerStream& stream);
  void EndCall(ServerStream& stream, bool cancelled);
  void Remove(ServerStream& stream);
  void CheckDrained();
  void CountControlFrame();
  void PingAcked();

  // Http2Connection:
  void OnClosed(const absl::Status& why) override;
  bool OnOutEnd(Http2Stream& stream) override;
  bool OnTaken(Http2Stream& stream, size_t message_bytes) override;
  void OnWritable(Http2Stream& stream) override;
  void OnFlushed() override;
  bool HasStreams() const override { return !streams_.empty(); }
  void CountReceived(size_t bytes) override { loop_->counters.bytes_received.Add(bytes); }
  void CountSent(size_t bytes) override { loop_->counters.bytes_sent.Add(bytes); }

  const std::shared_ptr<ServerLoop> loop_;
  const ServerOptions& options_;  // of loop_->registry
  const std::shared_ptr<const ServerPeer> peer_;
  StreamList streams_;
  size_t queued_bytes_ = 0;  // of unary answers
  std::deque<ServerStream*> parked_;
  size_t parked_bytes_ = 0;
  TokenBucket control_frames_;
  TokenBucket resets_;
  bool draining_ = false;
  bool drain_announced_ = false;  // the final GOAWAY is submitted
};

}  // namespace keel::rpc::internal
