#include "kvstore/server/introspection.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <set>
#include <string>
#include <utility>

#include "kvstore/api/rpc.pb.h"
#include "kvstore/api/v3election.pb.h"
#include "kvstore/api/v3lock.pb.h"
#include "kvstore/server/reflection.pb.h"
#include "kvstore/server/service.h"

namespace keel::kvstore {

namespace {

namespace proto = google::protobuf;
using Call = rpc::ServerCallPtr;

// grpc.health.v1.HealthCheckResponse.status (1).
constexpr std::string_view kServing = "\x08\x01";
constexpr std::string_view kNotServing = "\x08\x02";
constexpr std::string_view kServiceUnknown = "\x08\x03";
constexpr base::Duration kHealthInterval = std::chrono::milliseconds(200);

// HealthCheckRequest.service (1): only "", the server as a whole, is known.
bool AsksWholeServer(std::string_view request) {
  return request.empty() || request == std::string_view("\x0a\x00", 2);
}

std::string_view StatusOf(const ServerContext& context) {
  return context.HasLeader() ? kServing : kNotServing;
}

// Sends the status, and each other one that follows it.
class HealthWatch final : public rpc::ServerStreamHandler,
                          public std::enable_shared_from_this<HealthWatch> {
 public:
  HealthWatch(Call call, const ServerContext* context)
      : call_(std::move(call)), context_(*context) {}

  void OnMessage(std::string_view request) override {
    if (std::exchange(asked_, true)) return;
    if (AsksWholeServer(request)) return Look();
    call_->Send(std::string(kServiceUnknown));
  }
  void OnEnd() override { call_->loop().Cancel(timer_); }

 private:
  void Look() {
    const std::string_view now = StatusOf(context_);
    if (now != sent_) call_->Send(std::string(sent_ = now));
    timer_ = call_->loop().After(kHealthInterval, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Look();
    });
  }

  const Call call_;
  const ServerContext& context_;
  std::string_view sent_;
  base::TimerId timer_ = 0;
  bool asked_ = false;
};

using keel::reflection::Request;
using keel::reflection::Response;

class Reflection final : public rpc::ServerStreamHandler {
 public:
  explicit Reflection(Call call) : call_(std::move(call)) {}

  void OnMessage(std::string_view bytes) override {
    Request request;
    if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      return call_->Finish(ErrUnmarshal());
    }
    Response response;
    response.set_valid_host(request.host());
    response.set_original_request(std::string(bytes));
    const auto* pool = proto::DescriptorPool::generated_pool();
    switch (request.message_request_case()) {
      case Request::kListServices:
        ListServices(response.mutable_list_services_response());
        break;
      case Request::kFileByFilename:
        AnswerFile(pool->FindFileByName(request.file_by_filename()), request.file_by_filename(),
                   &response);
        break;
      case Request::kFileContainingSymbol:
        AnswerFile(pool->FindFileContainingSymbol(request.file_containing_symbol()),
                   request.file_containing_symbol(), &response);
        break;
      case Request::kFileContainingExtension:
      case Request::kAllExtensionNumbersOfType:  // proto3: there are none
        SetError(absl::StatusCode::kNotFound, "there are no extensions", &response);
        break;
      case Request::MESSAGE_REQUEST_NOT_SET:
        return call_->Finish(absl::InvalidArgumentError("an unknown kind of request"));
    }
    call_->Send(response.SerializeAsString());
  }
  void OnHalfClose() override { call_->Finish(absl::OkStatus()); }

 private:
  static void SetError(absl::StatusCode code, const std::string& text, Response* response) {
    response->mutable_error_response()->set_error_code(static_cast<int>(code));
    response->mutable_error_response()->set_error_message(text);
  }

  static void ListServices(Response::Services* services) {
    for (const proto::FileDescriptor* file :
         {etcdserverpb::RangeRequest::descriptor()->file(),
          v3lockpb::LockRequest::descriptor()->file(),
          v3electionpb::CampaignRequest::descriptor()->file()}) {
      for (int i = 0; i < file->service_count(); ++i) {
        services->add_service()->set_name(file->service(i)->full_name());
      }
    }
    for (const char* name : {"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                             "grpc.reflection.v1alpha.ServerReflection"}) {
      services->add_service()->set_name(name);
    }
  }

  void AnswerFile(const proto::FileDescriptor* file, const std::string& asked, Response* response) {
    if (file == nullptr)
      return SetError(absl::StatusCode::kNotFound, "not found: " + asked, response);
    AddFile(file, /*always=*/true, response->mutable_file_descriptor_response());
  }

  // The file, and what it imports of what this stream has not sent yet.
  void AddFile(const proto::FileDescriptor* file, bool always, Response::Files* files) {
    if (!sent_.insert(file).second && !always) return;
    proto::FileDescriptorProto described;
    file->CopyTo(&described);
    files->add_file_descriptor_proto(described.SerializeAsString());
    for (int i = 0; i < file->dependency_count(); ++i) {
      AddFile(file->dependency(i), /*always=*/false, files);
    }
  }

  const Call call_;
  std::set<const proto::FileDescriptor*> sent_;
};

}  // namespace

void RegisterHealth(rpc::Server* server, const ServerContext* context) {
  server->RegisterUnary("/grpc.health.v1.Health/Check", [context](Call call) {
    if (!AsksWholeServer(call->request())) {
      return call->Finish(absl::NotFoundError("unknown service"));
    }
    call->Reply(std::string(StatusOf(*context)));
  });
  server->RegisterStream("/grpc.health.v1.Health/Watch", [context](Call call) {
    return std::make_shared<HealthWatch>(std::move(call), context);
  });
  server->RegisterUnary("/grpc.health.v1.Health/List", [context](Call call) {
    // HealthListResponse.statuses (1), a map with the one entry "": {1: "", 2: the status}.
    call->Reply(std::string("\x0a\x06\x0a\x00\x12\x02", 6) + std::string(StatusOf(*context)));
  });
}

void RegisterReflection(rpc::Server* server) {
  for (const char* path : {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                           "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"}) {
    server->RegisterStream(path,
                           [](Call call) { return std::make_shared<Reflection>(std::move(call)); });
  }
}

}  // namespace keel::kvstore
