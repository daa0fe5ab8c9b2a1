#include "kvstore/server/identity.h"

#include <openssl/sha.h>

#include <algorithm>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::kvstore {

using base::StrCat;

namespace {

constexpr std::string_view kMagic = "keel-identity 1";

uint64_t Sha1Prefix(const std::string& bytes) {
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
  uint64_t id = 0;
  for (int i = 0; i < 8; ++i) id = id << 8 | digest[i];
  return id;
}

std::string Hex(uint64_t id) { return absl::StrFormat("%x", id); }

absl::StatusOr<uint64_t> ParseHex(absl::string_view text) {
  uint64_t id = 0;
  if (text.size() > 16 || !absl::SimpleHexAtoi(text, &id) || id == 0) {
    return absl::DataLossError(StrCat("not an id: ", text));
  }
  return id;
}

}  // namespace

uint64_t ComputeMemberId(const std::vector<Url>& peer_urls, std::string_view cluster_token,
                         std::string_view salt) {
  std::vector<std::string> urls = UrlStrings(peer_urls);
  std::sort(urls.begin(), urls.end());
  return Sha1Prefix(StrCat(absl::StrJoin(urls, ""), cluster_token, salt));
}

uint64_t ComputeClusterId(std::vector<uint64_t> member_ids) {
  std::sort(member_ids.begin(), member_ids.end());
  std::string bytes;
  for (const uint64_t id : member_ids) {
    for (int shift = 56; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(id >> shift));
  }
  return Sha1Prefix(bytes);
}

absl::StatusOr<Identity> IdentityFromConfig(const ServerConfig& config) {
  const auto self = config.initial_cluster.find(config.name);
  if (self == config.initial_cluster.end()) {
    return absl::InvalidArgumentError(
        StrCat("couldn't find local name \"", config.name, "\" in --initial-cluster"));
  }
  if (UrlStrings(self->second) != UrlStrings(config.initial_advertise_peer_urls)) {
    return absl::InvalidArgumentError(StrCat(
        "--initial-cluster has ", config.name, "=", JoinUrls(self->second),
        " but --initial-advertise-peer-urls is ", JoinUrls(config.initial_advertise_peer_urls)));
  }
  Identity identity;
  identity.name = config.name;
  identity.cluster_token = config.initial_cluster_token;
  identity.joined = config.initial_cluster_existing;
  std::vector<uint64_t> ids;
  for (const auto& [name, urls] : config.initial_cluster) {
    InitialMember member;
    member.id = ComputeMemberId(urls, config.initial_cluster_token);
    member.name = name;
    member.peer_urls = UrlStrings(urls);
    ids.push_back(member.id);
    identity.initial_members.push_back(std::move(member));
  }
  std::sort(identity.initial_members.begin(), identity.initial_members.end(),
            [](const InitialMember& a, const InitialMember& b) { return a.id < b.id; });
  identity.cluster_id = ComputeClusterId(ids);
  identity.member_id = ComputeMemberId(self->second, config.initial_cluster_token);
  return identity;
}

std::string EncodeIdentity(const Identity& identity) {
  std::string out =
      StrCat(kMagic, "\ncluster ", Hex(identity.cluster_id), "\nmember ", Hex(identity.member_id),
             "\nname ", identity.name, "\ntoken ", identity.cluster_token, "\njoined ",
             identity.joined ? "true" : "false", "\n");
  for (const auto& [word, members] : {std::pair("initial ", &identity.initial_members),
                                      std::pair("contact ", &identity.contacts)}) {
    for (const InitialMember& member : *members) {
      out += StrCat(word, Hex(member.id), " ", absl::StrJoin(member.peer_urls, ","), " ",
                    member.name, "\n");
    }
  }
  return out + "end\n";
}

absl::StatusOr<Identity> DecodeIdentity(std::string_view text) {
  Identity identity;
  std::vector<std::string> lines = absl::StrSplit(base::ToAbsl(text), '\n');
  if (lines.size() < 3 || lines[0] != kMagic || lines[lines.size() - 2] != "end" ||
      !lines.back().empty()) {
    return absl::DataLossError("it does not begin and end as an identity file does");
  }
  lines.resize(lines.size() - 2);
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::pair<std::string, std::string> field =
        absl::StrSplit(lines[i], absl::MaxSplits(' ', 1));
    if (field.first == "cluster") {
      KEEL_ASSIGN_OR_RETURN(identity.cluster_id, ParseHex(field.second));
    } else if (field.first == "member") {
      KEEL_ASSIGN_OR_RETURN(identity.member_id, ParseHex(field.second));
    } else if (field.first == "name") {
      identity.name = field.second;
    } else if (field.first == "token") {
      identity.cluster_token = field.second;
    } else if (field.first == "joined") {
      identity.joined = field.second == "true";
    } else if (field.first == "initial" || field.first == "contact") {
      const std::vector<std::string> parts = absl::StrSplit(field.second, absl::MaxSplits(' ', 2));
      if (parts.size() != 3) return absl::DataLossError(StrCat("line ", i + 1, " is cut short"));
      InitialMember member;
      KEEL_ASSIGN_OR_RETURN(member.id, ParseHex(parts[0]));
      member.peer_urls = absl::StrSplit(parts[1], ',');
      member.name = parts[2];
      (field.first == "initial" ? identity.initial_members : identity.contacts)
          .push_back(std::move(member));
    } else {
      return absl::DataLossError(StrCat("line ", i + 1, " is unknown: ", lines[i]));
    }
  }
  if (identity.cluster_id == 0 || identity.member_id == 0) {
    return absl::DataLossError("it names no cluster or no member");
  }
  return identity;
}

absl::StatusOr<DataDir> OpenDataDir(
    base::FileSystem& fs, const ServerConfig& config,
    absl::FunctionRef<absl::StatusOr<Identity>(const ServerConfig&)> first) {
  const std::string& root = config.data_dir;
  const std::string member = config.member_dir();
  const std::string identity_path = member + "/identity";
  if (!fs.Exists(identity_path) && fs.Exists(member + "/snap/db")) {
    return absl::FailedPreconditionError(
        StrCat("data directory ", root,
               " was written by etcd, whose files this server does not read; "
               "start with an empty --data-dir and copy the keys over"));
  }
  // Before anything is created: wrong flags leave nothing behind.
  if (!fs.Exists(identity_path)) KEEL_RETURN_IF_ERROR(IdentityFromConfig(config).status());
  if (absl::Status made = fs.CreateDirs(member); !made.ok()) {
    return absl::Status(made.code(), StrCat("cannot create data directory ", root, ": ",
                                            base::ToStd(made.message())));
  }
  DataDir dir;
  absl::StatusOr<std::unique_ptr<base::FileLock>> lock = fs.Lock(member + "/lock");
  if (!lock.ok()) {
    return absl::Status(lock.status().code(),
                        StrCat("data directory ", root, " is in use by another process: ",
                               base::ToStd(lock.status().message())));
  }
  dir.lock = *std::move(lock);

  if (!fs.Exists(identity_path)) {
    dir.first_start = true;
    KEEL_ASSIGN_OR_RETURN(dir.identity, first(config));
    KEEL_RETURN_IF_ERROR(base::WriteFileAtomic(fs, identity_path, EncodeIdentity(dir.identity)));
    KEEL_RETURN_IF_ERROR(fs.SyncDir(root));
    return dir;
  }

  KEEL_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(fs, identity_path));
  absl::StatusOr<Identity> identity = DecodeIdentity(text);
  if (!identity.ok()) {
    return absl::DataLossError(StrCat("identity file ", identity_path,
                                      " is damaged: ", base::ToStd(identity.status().message()),
                                      "; restore the data directory from a backup, or remove this "
                                      "member from the cluster and add it anew"));
  }
  dir.identity = *std::move(identity);
  const Identity& found = dir.identity;
  if (config.name_given && config.name != found.name) {
    return absl::FailedPreconditionError(
        StrCat("data directory ", root, " belongs to member ", found.name, " (",
               Hex(found.member_id), ") of cluster ", Hex(found.cluster_id), ", not to ",
               config.name, "; give each member a --data-dir of its own"));
  }
  if (config.token_given && config.initial_cluster_token != found.cluster_token) {
    return absl::FailedPreconditionError(
        StrCat("data directory ", root, " belongs to the cluster with token ", found.cluster_token,
               " (", Hex(found.cluster_id), "), not to the one with token ",
               config.initial_cluster_token, "; give each cluster data directories of its own"));
  }
  return dir;
}

}  // namespace keel::kvstore
