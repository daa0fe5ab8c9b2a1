#include "kvstore/server/cluster_service.h"

#include <chrono>

#include "base/status.h"
#include "kvstore/api/rpc.pb.h"
#include "kvstore/apply/command.pb.h"
#include "kvstore/mvcc/errors.h"
#include "kvstore/server/errors.h"
#include "kvstore/server/identity.h"
#include "kvstore/server/service.h"

namespace keel::kvstore {

namespace pb = etcdserverpb;
using Call = rpc::ServerCallPtr;
using keel::kv::PeerRequest;
using ChangeType = raft::ConfChangeSingle::Type;

namespace {

void Fill(const Member& member, pb::Member* out) {
  out->set_id(member.id);
  out->set_name(member.name);
  for (const std::string& url : member.peer_urls) out->add_peerurls(url);
  for (const std::string& url : member.client_urls) out->add_clienturls(url);
  out->set_islearner(member.is_learner);
}

std::string Encode(const ServerContext& context, const google::protobuf::MessageLite& response) {
  std::string out;
  context.AppendClusterHeader(&out);
  response.AppendToString(&out);
  return out;
}

template <typename Response>
std::string WithMembers(const ServerContext& context, uint64_t) {
  Response response;
  for (const Member& member : context.machine->members().List())
    Fill(member, response.add_members());
  return Encode(context, response);
}

std::string AddResponse(const ServerContext& context, uint64_t id) {
  pb::MemberAddResponse response;
  for (const Member& member : context.machine->members().List()) {
    Fill(member, response.add_members());
    if (member.id == id) Fill(member, response.mutable_member());
  }
  return Encode(context, response);
}

template <typename Repeated>
absl::StatusOr<std::vector<Url>> UrlsOf(const Repeated& texts) {
  std::vector<Url> urls;
  for (const std::string& text : texts) {
    absl::StatusOr<Url> url = ParseUrl(text);
    if (!url.ok()) return ErrMemberBadUrls();
    urls.push_back(*std::move(url));
  }
  if (urls.empty()) return ErrMemberBadUrls();
  return urls;
}

}  // namespace

ClusterService::ClusterService(ServerContext* context, Proposals* proposals, ReadGate* gate,
                               LeaderCalls* calls)
    : context_(context), proposals_(proposals), gate_(gate), calls_(calls) {
  calls_->Handle(PeerRequest::MEMBER_PROMOTE,
                 [this](std::string_view body, LeaderCalls::Reply reply) {
                   ServePromote(body, std::move(reply));
                 });
  const auto answer = [](LeaderCalls::Reply reply, absl::Status checked) {
    if (!checked.ok()) return reply(std::move(checked));
    reply(std::string());
  };
  calls_->Handle(PeerRequest::MEMBER_ADD,
                 [this, answer](std::string_view, LeaderCalls::Reply reply) {
                   answer(std::move(reply), CheckQuorumAfterAdd());
                 });
  calls_->Handle(
      PeerRequest::MEMBER_REMOVE, [this, answer](std::string_view body, LeaderCalls::Reply reply) {
        pb::MemberRemoveRequest request;
        const bool parsed = request.ParseFromArray(body.data(), static_cast<int>(body.size()));
        answer(std::move(reply), parsed ? CheckQuorumAfterRemove(request.id()) : ErrUnmarshal());
      });
}

void ClusterService::RegisterOn(rpc::Server* server) {
  Register(server, "/etcdserverpb.Cluster/MemberList", context_, {.who = Who::kSomebody},
           [this](Call call) { List(std::move(call)); });
  Register(server, "/etcdserverpb.Cluster/MemberAdd", context_, {.who = Who::kRoot},
           [this](Call call) { Add(std::move(call)); });
  Register(server, "/etcdserverpb.Cluster/MemberRemove", context_, {.who = Who::kRoot},
           [this](Call call) { Remove(std::move(call)); });
  Register(server, "/etcdserverpb.Cluster/MemberUpdate", context_, {.who = Who::kRoot},
           [this](Call call) { Update(std::move(call)); });
  Register(server, "/etcdserverpb.Cluster/MemberPromote", context_, {.who = Who::kRoot},
           [this](Call call) { Promote(std::move(call)); });
}

void ClusterService::List(Call call) {
  const auto* request = ParseScratch<pb::MemberListRequest>(call->request());
  if (request == nullptr) return call->Finish(ErrUnmarshal());
  if (!request->linearizable())
    return call->Reply(WithMembers<pb::MemberListResponse>(*context_, 0));
  context_->loop->Dispatch([this, call = std::move(call)]() mutable {
    gate_->Read(
        [context = context_, call = std::move(call)](absl::StatusOr<ReadGate::ViewPtr> view) {
          if (!view.ok()) return call->Finish(view.status());
          call->Reply(WithMembers<pb::MemberListResponse>(*context, 0));
        });
  });
}

bool ClusterService::IsActive(uint64_t id) const {
  return id == context_->member_id ||
         context_->transport->SinceHeard(id) < 5 * context_->config.election();
}

// Voters that this member has heard from lately, itself included. Followers hear only from the
// leader.
size_t ClusterService::ActiveVoters(const std::vector<Member>& members) const {
  size_t active = 0;
  for (const Member& member : members) active += !member.is_learner && IsActive(member.id);
  return active;
}

void ClusterService::Change(Call call, raft::ConfChangeSingle change, Member member,
                            std::string (*answer)(const ServerContext&, uint64_t id)) {
  const uint64_t member_id = member.id;
  const bool promote = change.type == ChangeType::kAddVoter && member.peer_urls.empty();
  proposals_->ProposeChange(
      [this, change, member = std::move(member), promote](uint64_t id) {
        keel::kv::MemberChange context;
        context.set_id(id);
        context.set_proposer(context_->member_id);
        Fill(member, context.mutable_member());
        context.set_promote(promote);
        raft::ConfChange conf_change;
        conf_change.changes.push_back(change);
        conf_change.context = context.SerializeAsString();
        return conf_change;
      },
      [context = context_, call = std::move(call), answer, member_id](absl::Status error,
                                                                      ApplyResult* result) {
        if (!error.ok()) return call->Finish(std::move(error));
        if (!result->status.ok()) return call->Finish(std::move(result->status));
        call->Reply(answer(*context, member_id));
      });
}

void ClusterService::Add(Call call) {
  const auto* request = ParseScratch<pb::MemberAddRequest>(call->request());
  if (request == nullptr) return call->Finish(ErrUnmarshal());
  const absl::StatusOr<std::vector<Url>> urls = UrlsOf(request->peerurls());
  if (!urls.ok()) return call->Finish(urls.status());

  const MemberTable& table = context_->machine->members();
  Member member;
  member.peer_urls = UrlStrings(*urls);
  member.is_learner = request->islearner();
  // An id is never used twice: like etcd's it depends on the time.
  member.id = ComputeMemberId(*urls, "", std::to_string(context_->unix_ms() / 1000));
  if (absl::Status bad = table.CheckAdd(member, context_->config.max_learners); !bad.ok())
    return call->Finish(std::move(bad));

  const auto type = member.is_learner ? ChangeType::kAddLearner : ChangeType::kAddVoter;
  const raft::ConfChangeSingle change{.type = type, .node = member.id};
  if (member.is_learner || !context_->config.strict_reconfig_check) {
    return Change(std::move(call), change, std::move(member), AddResponse);
  }
  AskThenChange(PeerRequest::MEMBER_ADD, std::move(call), change, std::move(member), AddResponse);
}

absl::Status ClusterService::CheckQuorumAfterAdd() const {
  const std::vector<Member> members = context_->machine->members().List();
  size_t voters = 0, started = 0;
  for (const Member& other : members) {
    voters += !other.is_learner;
    started += !other.is_learner && !other.name.empty();
  }
  // One voter more, that is not running yet; a cluster of one may always grow.
  if (!(voters == 1 && started == 1) && started < (voters + 1) / 2 + 1) {
    return ErrMemberNotEnoughStarted();
  }
  return ActiveVoters(members) < voters ? ErrUnhealthy() : absl::OkStatus();
}

void ClusterService::Remove(Call call) {
  const auto* request = ParseScratch<pb::MemberRemoveRequest>(call->request());
  if (request == nullptr) return call->Finish(ErrUnmarshal());
  const uint64_t id = request->id();
  if (absl::Status bad = context_->machine->members().CheckRemove(id); !bad.ok()) {
    return call->Finish(std::move(bad));
  }
  Member member;
  member.id = id;
  const raft::ConfChangeSingle change{.type = ChangeType::kRemove, .node = id};
  if (!context_->config.strict_reconfig_check) {
    return Change(std::move(call), change, std::move(member),
                  WithMembers<pb::MemberRemoveResponse>);
  }
  AskThenChange(PeerRequest::MEMBER_REMOVE, std::move(call), change, std::move(member),
                WithMembers<pb::MemberRemoveResponse>);
}

absl::Status ClusterService::CheckQuorumAfterRemove(uint64_t id) const {
  const std::vector<Member> members = context_->machine->members().List();
  const std::optional<Member> leaving = context_->machine->members().Find(id);
  if (!leaving.has_value() || leaving->is_learner) return absl::OkStatus();
  size_t voters = 0, started = 0;
  for (const Member& other : members) {
    if (other.is_learner || other.id == id) continue;
    ++voters;
    started += !other.name.empty();
  }
  if (!leaving->name.empty() && started < voters / 2 + 1) return ErrMemberNotEnoughStarted();
  if (IsActive(id) && ActiveVoters(members) - 1 < voters / 2 + 1) return ErrUnhealthy();
  return absl::OkStatus();
}

void ClusterService::AskThenChange(PeerRequest::Kind kind, Call call, raft::ConfChangeSingle change,
                                   Member member,
                                   std::string (*answer)(const ServerContext&, uint64_t id)) {
  context_->loop->Dispatch(
      [this, kind, call = std::move(call), change, member = std::move(member), answer]() mutable {
        std::string body(call->request());
        calls_->Ask(kind, std::move(body),
                    [this, call = std::move(call), change, member = std::move(member),
                     answer](absl::StatusOr<std::string> ready) mutable {
                      if (!ready.ok()) return call->Finish(ready.status());
                      Change(std::move(call), change, std::move(member), answer);
                    });
      });
}

void ClusterService::Update(Call call) {
  const auto* request = ParseScratch<pb::MemberUpdateRequest>(call->request());
  if (request == nullptr) return call->Finish(ErrUnmarshal());
  if (absl::Status bad = UrlsOf(request->peerurls()).status(); !bad.ok())
    return call->Finish(std::move(bad));
  const std::vector<std::string> urls(request->peerurls().begin(), request->peerurls().end());
  if (absl::Status bad = context_->machine->members().CheckUpdate(request->id(), urls); !bad.ok()) {
    return call->Finish(std::move(bad));
  }
  const std::string_view bytes = call->request();
  proposals_->Propose(
      CommandField::kMemberUpdate, bytes,
      [context = context_, call = std::move(call)](absl::Status error, ApplyResult* result) {
        if (!error.ok()) return call->Finish(std::move(error));
        if (!result->status.ok()) return call->Finish(std::move(result->status));
        call->Reply(WithMembers<pb::MemberUpdateResponse>(*context, 0));
      });
}

void ClusterService::Promote(Call call) {
  const auto* request = ParseScratch<pb::MemberPromoteRequest>(call->request());
  if (request == nullptr) return call->Finish(ErrUnmarshal());
  const uint64_t id = request->id();
  if (absl::Status bad = context_->machine->members().CheckPromote(id); !bad.ok()) {
    return call->Finish(std::move(bad));
  }
  Member member;
  member.id = id;
  // The leader says whether the learner is ready; the change is proposed from here.
  AskThenChange(PeerRequest::MEMBER_PROMOTE, std::move(call),
                {.type = ChangeType::kAddVoter, .node = id}, std::move(member),
                WithMembers<pb::MemberPromoteResponse>);
}

void ClusterService::ServePromote(std::string_view body, LeaderCalls::Reply reply) {
  pb::MemberPromoteRequest request;
  if (!request.ParseFromArray(body.data(), static_cast<int>(body.size())))
    return reply(ErrUnmarshal());
  context_->node->GetStatus(
      [id = request.id(), reply = std::move(reply)](raft::Status status) mutable {
        raft::Index leader_match = 0, learner_match = 0;
        for (const raft::PeerProgress& progress : status.progress) {
          if (progress.id == status.id) leader_match = progress.match;
          if (progress.id == id) learner_match = progress.match;
        }
        // etcd: readyPercentThreshold 0.9 of the leader's own match.
        if (status.progress.empty()) return reply(ErrNotLeader());
        if (static_cast<double>(learner_match) < 0.9 * static_cast<double>(leader_match)) {
          return reply(ErrLearnerNotReady());
        }
        reply(std::string());
      });
}

}  // namespace keel::kvstore
