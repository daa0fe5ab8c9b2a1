#include "kvstore/server/join.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/server/peer.pb.h"

namespace keel::kvstore {

using base::StrCat;
using keel::kv::ClusterInfo;

std::string EncodeClusterInfo(const Identity& identity, const std::vector<Member>& members) {
  ClusterInfo info;
  info.set_cluster_id(identity.cluster_id);
  info.set_token(identity.cluster_token);
  for (const InitialMember& member : identity.initial_members) {
    ClusterInfo::Member* out = info.add_initial_members();
    out->set_id(member.id);
    out->set_name(member.name);
    out->mutable_peer_urls()->Add(member.peer_urls.begin(), member.peer_urls.end());
  }
  for (const Member& member : members) {
    ClusterInfo::Member* out = info.add_members();
    out->set_id(member.id);
    out->set_name(member.name);
    out->mutable_peer_urls()->Add(member.peer_urls.begin(), member.peer_urls.end());
  }
  return info.SerializeAsString();
}

namespace {

// The member with just these peer URLs; null: none.
const ClusterInfo::Member* FindByUrls(const ClusterInfo& info,
                                      const std::vector<std::string>& sorted_urls) {
  for (const ClusterInfo::Member& member : info.members()) {
    std::vector<std::string> urls(member.peer_urls().begin(), member.peer_urls().end());
    std::sort(urls.begin(), urls.end());
    if (urls == sorted_urls) return &member;
  }
  return nullptr;
}

}  // namespace

absl::StatusOr<Identity> IdentityFromCluster(
    const ServerConfig& config,
    absl::FunctionRef<absl::StatusOr<std::string>(const std::string&)> ask) {
  KEEL_ASSIGN_OR_RETURN(Identity identity, IdentityFromConfig(config));
  const std::vector<std::string> own = UrlStrings(config.initial_advertise_peer_urls);
  ClusterInfo info;  // of one that knows this member, if there is one
  std::string failure = "it names no other member";
  for (const auto& [name, urls] : config.initial_cluster) {
    if (name == config.name) continue;
    for (const Url& url : urls) {
      const absl::StatusOr<std::string> answer = ask(url.PeerAddress());
      ClusterInfo answered;
      if (!answer.ok()) {
        failure = std::string(base::ToStd(answer.status().message()));
        continue;
      }
      if (!answered.ParseFromString(*answer) || answered.cluster_id() == 0) {
        failure = StrCat(url.HostPort(), " is not ready");
        continue;
      }
      info = std::move(answered);
      break;
    }
    // Who is behind, one that has just joined, say, has not heard of the latest addition yet.
    if (FindByUrls(info, own) != nullptr) break;
  }
  if (info.cluster_id() == 0) {
    return absl::UnavailableError(
        StrCat("cannot fetch cluster info from the members of --initial-cluster: ", failure));
  }
  if (config.token_given && config.initial_cluster_token != info.token()) {
    return absl::FailedPreconditionError(StrCat("the cluster of --initial-cluster has token ",
                                                info.token(), ", not ",
                                                config.initial_cluster_token));
  }
  const ClusterInfo::Member* const self = FindByUrls(info, own);
  if (self == nullptr) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "cluster %x has no member with peer URLs %s; add it first (member add %s --peer-urls=%s)",
        info.cluster_id(), JoinUrls(config.initial_advertise_peer_urls), config.name,
        JoinUrls(config.initial_advertise_peer_urls)));
  }
  identity.cluster_id = info.cluster_id();
  identity.member_id = self->id();
  identity.cluster_token = info.token();
  identity.rejoined = !self->name().empty();
  identity.initial_members.clear();
  for (const ClusterInfo::Member& member : info.initial_members()) {
    identity.initial_members.push_back(
        {member.id(), member.name(), {member.peer_urls().begin(), member.peer_urls().end()}});
  }
  for (const ClusterInfo::Member& member : info.members()) {
    if (member.id() == self->id()) continue;
    identity.contacts.push_back(
        {member.id(), member.name(), {member.peer_urls().begin(), member.peer_urls().end()}});
  }
  return identity;
}

}  // namespace keel::kvstore
