#include "kvstore/server/corruption_check.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/log.h"
#include "base/strings.h"
#include "kvstore/api/rpc.pb.h"
#include "kvstore/server/errors.h"

namespace keel::kvstore {

namespace pb = etcdserverpb;
using base::StrCat;
using keel::kv::PeerRequest;

namespace {

// Of a member that reads a large store for its answer.
constexpr base::Duration kAnswerLimit = std::chrono::minutes(2);

// Hashes at other revisions, or over other versions, say nothing of each other.
bool Comparable(const HashResult& a, const HashResult& b) {
  return a.revision == b.revision && a.compact_revision == b.compact_revision;
}

}  // namespace

std::vector<uint64_t> FindCorrupt(const std::map<uint64_t, absl::StatusOr<HashResult>>& hashes,
                                  uint64_t self, size_t members) {
  const auto own = hashes.find(self);
  if (own == hashes.end() || !own->second.ok()) return {};
  std::map<uint32_t, std::vector<uint64_t>> groups;
  for (const auto& [id, hash] : hashes) {
    if (hash.ok() && Comparable(*hash, *own->second)) groups[hash->hash].push_back(id);
  }
  if (groups.size() < 2) return {};
  const auto largest = std::max_element(
      groups.begin(), groups.end(),
      [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
  if (largest->second.size() * 2 <= members) return {0};
  std::vector<uint64_t> corrupt;
  for (const auto& [hash, ids] : groups) {
    if (hash != largest->first) corrupt.insert(corrupt.end(), ids.begin(), ids.end());
  }
  return corrupt;
}

CorruptionCheck::CorruptionCheck(ServerContext* context, Proposals* proposals, LeaderCalls* calls)
    : context_(context), proposals_(proposals), calls_(calls) {
  calls_->HandleAnywhere(
      PeerRequest::HASH_KV,
      [this](std::string_view body, LeaderCalls::Reply reply) { Answer(body, std::move(reply)); });
}

void CorruptionCheck::HashHere(int64_t revision, absl::AnyInvocable<void(Hash)> done) {
  context_->NextWorker().Post([context = context_, revision, done = std::move(done)]() mutable {
    Hash hash = context->machine->view()->HashKv(revision);
    context->loop->Post(
        [done = std::move(done), hash = std::move(hash)]() mutable { done(std::move(hash)); });
  });
}

void CorruptionCheck::Answer(std::string_view body, LeaderCalls::Reply reply) {
  pb::HashKVRequest request;
  if (!request.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return reply(absl::InvalidArgumentError("the request cannot be parsed"));
  }
  const int64_t revision = request.revision();
  std::vector<LeaderCalls::Reply>& waiting = answering_[revision];
  waiting.push_back(std::move(reply));
  if (waiting.size() > 1) return;  // asked again while the first hash is on its way
  HashHere(revision, [this, revision](const Hash& hash) {
    pb::HashKVResponse response;
    if (hash.ok()) {
      response.set_hash(hash->hash);
      response.set_compact_revision(hash->compact_revision);
      response.set_hash_revision(hash->revision);
    }
    for (LeaderCalls::Reply& each : std::exchange(answering_[revision], {})) {
      if (hash.ok()) {
        each(response.SerializeAsString());
      } else {
        each(hash.status());
      }
    }
    answering_.erase(revision);
  });
}

// What has been answered so far.
struct CorruptionCheck::Round {
  std::map<uint64_t, Hash> hashes;
  size_t waiting = 0;
  absl::AnyInvocable<void(std::map<uint64_t, Hash>)> done;
};

void CorruptionCheck::Ask(int64_t revision, base::Duration limit,
                          absl::AnyInvocable<void(std::map<uint64_t, Hash>)> done) {
  auto round = std::make_shared<Round>();
  round->done = std::move(done);
  HashHere(revision, [this, round, limit](Hash own) {
    round->hashes.emplace(context_->member_id, own);
    std::vector<uint64_t> others;
    for (const Member& member : context_->machine->members().List()) {
      if (member.id != context_->member_id) others.push_back(member.id);
    }
    if (!own.ok() || others.empty()) return round->done(std::move(round->hashes));
    pb::HashKVRequest request;
    request.set_revision(own->revision);
    round->waiting = others.size();
    for (const uint64_t id : others) {
      calls_->AskMember(id, PeerRequest::HASH_KV, request.SerializeAsString(), limit,
                        [round, id](absl::StatusOr<std::string> body) {
                          Hash hash = absl::InternalError("the answer cannot be parsed");
                          pb::HashKVResponse response;
                          if (!body.ok()) {
                            hash = body.status();
                          } else if (response.ParseFromString(*body)) {
                            hash = HashResult{response.hash(), response.hash_revision(),
                                              response.compact_revision()};
                          }
                          round->hashes.emplace(id, std::move(hash));
                          if (--round->waiting == 0) round->done(std::move(round->hashes));
                        });
    }
  });
}

void CorruptionCheck::CheckAgainstPeers(absl::AnyInvocable<void(absl::Status)> done) {
  Ask(0, context_->config.request_timeout(),
      [this, done = std::move(done)](const std::map<uint64_t, Hash>& hashes) mutable {
        const Hash& own = hashes.at(context_->member_id);
        if (!own.ok()) return done(own.status());
        size_t equal = 0;
        std::string different;
        for (const auto& [id, hash] : hashes) {
          if (id == context_->member_id) continue;
          if (!hash.ok()) {
            base::Log().warn("initial corruption check: no hash of member={:x}: {}", id,
                             base::ToStd(hash.status().message()));
          } else if (!Comparable(*hash, *own)) {
            base::Log().warn(
                "initial corruption check: member={:x} cannot be compared compact_revision={} "
                "here={}",
                id, hash->compact_revision, own->compact_revision);
          } else if (hash->hash == own->hash) {
            ++equal;
          } else {
            different += absl::StrFormat("; hash %d at revision %d, member %x has %d", own->hash,
                                         own->revision, id, hash->hash);
          }
        }
        if (!different.empty()) {
          return done(
              absl::DataLossError(StrCat(absl::StrFormat("%x", context_->member_id),
                                         " found data inconsistency with peers", different)));
        }
        base::Log().info("initial corruption check passed revision={} equal_members={}",
                         own->revision, equal);
        done(absl::OkStatus());
      });
}

void CorruptionCheck::Tick() {
  const ServerConfig& config = context_->config;
  const bool periodic = config.corrupt_check_interval > base::Duration::zero();
  if ((!periodic && !config.compact_hash_check) || checking_) return;
  const base::TimePoint now = context_->loop->Now();
  if (next_check_ == base::TimePoint()) {
    next_check_ = now + config.corrupt_check_interval;
    next_compact_check_ = now + config.compact_hash_check_interval;
  }
  int64_t revision = -1;
  if (periodic && now >= next_check_) {
    next_check_ = now + config.corrupt_check_interval;
    revision = 0;
  } else if (config.compact_hash_check && now >= next_compact_check_) {
    next_compact_check_ = now + config.compact_hash_check_interval;
    const int64_t compacted = context_->machine->view()->compact_revision();
    if (compacted > checked_compact_revision_) revision = compacted;
    checked_compact_revision_ = std::max(checked_compact_revision_, compacted);
  }
  if (revision < 0 || !context_->IsLeader()) return;
  checking_ = true;
  Ask(revision, kAnswerLimit, [this](const std::map<uint64_t, Hash>& hashes) {
    checking_ = false;
    Judge(hashes);
  });
}

void CorruptionCheck::Judge(const std::map<uint64_t, Hash>& hashes) {
  if (!context_->IsLeader()) return;
  for (const uint64_t id : FindCorrupt(hashes, context_->member_id, hashes.size())) {
    base::Log().error("found hash mismatch member={:x} revision={}", id,
                      hashes.at(context_->member_id)->revision);
    Raise(id);
  }
}

void CorruptionCheck::Raise(uint64_t member) {
  for (const struct Alarm& alarm : context_->machine->alarms()) {
    if (alarm.type == pb::CORRUPT && alarm.member_id == member) return;
  }
  pb::AlarmRequest request;
  request.set_action(pb::AlarmRequest::ACTIVATE);
  request.set_memberid(member);
  request.set_alarm(pb::CORRUPT);
  proposals_->Propose(CommandField::kAlarm, request.SerializeAsString(),
                      [member](const absl::Status& error, ApplyResult*) {
                        if (error.ok()) return;
                        base::Log().warn("alarm CORRUPT not delivered member={:x}: {}", member,
                                         base::ToStd(error.message()));
                      });
}

}  // namespace keel::kvstore
