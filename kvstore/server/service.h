// What all gRPC services of the server do at the door, and how they parse.
//
//   Register(server, "/etcdserverpb.KV/Put", context, {}, [this](rpc::ServerCallPtr call) {
//   Put(std::move(call)); });
//
// Thread-safety: handlers run on the loop of their call's connection.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "kvstore/server/context.h"
#include "rpc/server.h"

namespace keel::kvstore {

// Who may call, while authentication is on.
enum class Who : uint8_t {
  kAsked,     // the handler asks what it must
  kSomebody,  // any user
  kRoot,
};

struct DoorRules {
  bool learner_may = false;  // a learner answers too
  Who who = Who::kAsked;
};

// Registers a unary method behind etcd's interceptors: learners refuse, and so
// does a member without a leader when the client asked for that ("hasleader").
void Register(rpc::Server* server, std::string path, const ServerContext* context, DoorRules rules,
              rpc::Server::UnaryHandler handler);

// Registers a stream behind the same ones; it ends, too, when there has been no leader for three
// election timeouts and the client asked for one. Who calls is for the handler to ask, by
// AuthGate::Admit, which waits for what this member has not applied yet.
// REQUIRES: rules.who is kAsked.
void RegisterStream(rpc::Server* server, std::string path, const ServerContext* context,
                    DoorRules rules, rpc::Server::StreamHandlerFactory factory);

// The checks that have nothing to do with who calls.
absl::Status CheckDoor(const rpc::ServerCall& call, const ServerContext& context, DoorRules rules);

// gRPC's answer to bytes that are not the message.
absl::Status ErrUnmarshal();

// Parses into a message of this thread that is used over and over: what it
// holds is valid until the next use for the same type.
template <typename T>
const T* ParseScratch(std::string_view bytes) {
  thread_local T message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return nullptr;
  return &message;
}

// The header and then `body`, the rest of an encoded response.
std::string WithHeader(const ServerContext& context, int64_t revision, std::string_view body);

}  // namespace keel::kvstore
