// What the checks have in common: keys under a prefix of their own, which is empty before and
// after.
#pragma once

#include <string>
#include <string_view>

#include "kvstore/kvctl/session.h"

namespace keel::kvctl {

// "s" for "small", as etcdctl takes them; other names as they are.
std::string_view ShortLoadName(std::string_view name);

// Connects, and fails when there are keys already.
Outcome BeginCheck(Session& session, const std::string& prefix);
// Deletes the keys; then compacts and defragments where asked for.
Outcome EndCheck(Session& session, const std::string& prefix, base::Duration delete_limit,
                 bool compact, bool defragment);

void AddDatascaleVerb(CLI::App& check, Session& session);

}  // namespace keel::kvctl
