#include "examples/lockserver/lock_table.h"

#include <algorithm>
#include <sstream>

#include "base/strings.h"

namespace lockserver {

using keel::base::StrCat;

std::string LockTable::Holder(const std::string& lock) const {
  const auto it = locks_.find(lock);
  if (it == locks_.end()) return "nobody";
  return StrCat(it->second.line.front().owner, " ", it->second.token);
}

void LockTable::ApplyCommand(const keel::raft::Entry& entry) {
  std::istringstream words(*entry.data);
  std::string id, verb, name, owner;  // or, in the owner's place, a request or a token
  words >> id >> verb >> name >> owner;
  const auto it = locks_.find(name);
  const bool holds = it != locks_.end() && it->second.line.front().owner == owner;
  if (verb == "lock") {
    Take(name, {owner, id}, entry.index);
  } else if (verb == "renew") {
    if (holds && on_grant) on_grant(name, it->second.token);
    Answer(id, holds ? "renewed" : "error: not yours");
  } else if (verb == "unlock") {
    const bool dropped = Drop(
        name, [&](const Request& request) { return request.owner == owner; }, entry.index);
    Answer(id, dropped ? "released" : "error: not yours");
  } else if (verb == "leave") {
    Drop(
        name, [&](const Request& request) { return request.id == owner; }, entry.index);
  } else if (verb == "expire" && it != locks_.end() && StrCat(it->second.token) == owner) {
    Drop(
        name, [](const Request&) { return true; }, entry.index);
  }
}

void LockTable::Take(const std::string& name, const Request& request, Index index) {
  Lock& lock = locks_[name];
  const auto same = std::find_if(lock.line.begin(), lock.line.end(),
                                 [&](const Request& r) { return r.owner == request.owner; });
  if (same != lock.line.end()) {
    Answer(same->id, "error: asked again");
    same->id = request.id;
  } else {
    lock.line.push_back(request);
    if (lock.line.size() == 1) lock.token = index;
  }
  if (lock.line.front().owner == request.owner) Grant(name, lock);
}

bool LockTable::Drop(const std::string& name, const std::function<bool(const Request&)>& drop,
                     Index index) {
  const auto it = locks_.find(name);
  if (it == locks_.end()) return false;
  std::deque<Request>& line = it->second.line;
  const auto at = std::find_if(line.begin(), line.end(), drop);
  if (at == line.end()) return false;
  const bool held = at == line.begin();
  line.erase(at);
  if (line.empty()) {
    locks_.erase(it);
  } else if (held) {
    it->second.token = index;
    Grant(name, it->second);
  }
  return true;
}

void LockTable::Grant(const std::string& name, Lock& lock) {
  if (on_grant) on_grant(name, lock.token);
  Answer(lock.line.front().id, StrCat("granted ", lock.token));
}

std::string LockTable::Save() const {
  std::string out;
  for (const auto& [name, lock] : locks_) {
    out += StrCat(name, " ", lock.token, " ", lock.line.size());
    for (const Request& request : lock.line) out += StrCat(" ", request.owner, " ", request.id);
    out += "\n";
  }
  return out;
}

absl::Status LockTable::Load(std::string_view saved) {
  std::map<std::string, Lock> locks;
  std::istringstream words{std::string(saved)};
  for (std::string name; words >> name;) {
    Lock& lock = locks[name];
    size_t size = 0;
    words >> lock.token >> size;
    for (Request request; size > 0 && words >> request.owner >> request.id; --size) {
      lock.line.push_back(request);
    }
    if (size > 0 || lock.line.empty()) return absl::DataLossError("the saved locks are cut short");
  }
  locks_ = std::move(locks);
  // Nobody's time is known here: it starts anew, so none expires early.
  for (const auto& [name, lock] : locks_) {
    if (on_grant) on_grant(name, lock.token);
  }
  return absl::OkStatus();
}

}  // namespace lockserver
