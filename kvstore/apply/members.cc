#include "kvstore/apply/members.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "kvstore/mvcc/errors.h"

namespace keel::kvstore {

namespace {

bool SharesPeerUrl(const Member& member, const std::vector<std::string>& urls) {
  return std::any_of(urls.begin(), urls.end(), [&](const std::string& url) {
    return std::find(member.peer_urls.begin(), member.peer_urls.end(), url) !=
           member.peer_urls.end();
  });
}

}  // namespace

std::vector<Member> MemberTable::List() const {
  base::MutexLock lock(&mutex_);
  std::vector<Member> members;
  members.reserve(members_.size());
  for (const auto& [id, member] : members_) members.push_back(member);
  return members;
}

std::optional<Member> MemberTable::Find(uint64_t id) const {
  base::MutexLock lock(&mutex_);
  const auto found = members_.find(id);
  if (found == members_.end()) return std::nullopt;
  return found->second;
}

uint64_t MemberTable::RemovedAt(uint64_t id) const {
  base::MutexLock lock(&mutex_);
  const auto found = removed_.find(id);
  return found == removed_.end() ? 0 : found->second;
}

absl::Status MemberTable::CheckAdd(const Member& member, size_t max_learners) const {
  base::MutexLock lock(&mutex_);
  if (removed_.contains(member.id)) return ErrMemberNotFound();
  if (members_.contains(member.id)) return ErrMemberExists();
  size_t learners = 0;
  for (const auto& [id, other] : members_) {
    if (SharesPeerUrl(other, member.peer_urls)) return ErrPeerUrlExists();
    if (other.is_learner) ++learners;
  }
  if (member.is_learner && learners >= max_learners) return ErrTooManyLearners();
  return absl::OkStatus();
}

absl::Status MemberTable::CheckRemove(uint64_t id) const {
  base::MutexLock lock(&mutex_);
  return members_.contains(id) ? absl::OkStatus() : ErrMemberNotFound();
}

absl::Status MemberTable::CheckPromote(uint64_t id) const {
  base::MutexLock lock(&mutex_);
  const auto found = members_.find(id);
  if (found == members_.end()) return ErrMemberNotFound();
  return found->second.is_learner ? absl::OkStatus() : ErrMemberNotLearner();
}

absl::Status MemberTable::CheckUpdate(uint64_t id,
                                      const std::vector<std::string>& peer_urls) const {
  base::MutexLock lock(&mutex_);
  if (!members_.contains(id)) return ErrMemberNotFound();
  for (const auto& [other_id, other] : members_) {
    if (other_id != id && SharesPeerUrl(other, peer_urls)) return ErrPeerUrlExists();
  }
  return absl::OkStatus();
}

void MemberTable::Set(Member member) {
  base::MutexLock lock(&mutex_);
  members_[member.id] = std::move(member);
}

void MemberTable::Remove(uint64_t id, uint64_t index) {
  KEEL_CHECK(index > 0);
  base::MutexLock lock(&mutex_);
  members_.erase(id);
  removed_[id] = index;
}

void MemberTable::Assign(std::vector<Member> members, Removed removed) {
  base::MutexLock lock(&mutex_);
  members_.clear();
  for (Member& member : members) members_[member.id] = std::move(member);
  removed_ = std::move(removed);
}

}  // namespace keel::kvstore
