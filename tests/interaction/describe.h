// Raft's values in the words of the scripts: "1 -> 2 append after 3/1 [4/1 a] commit 3".
#pragma once

#include <string>

#include "raft/core/raft.h"

namespace keel::raft::testing {

std::string Describe(const Entry& entry);                 // 4/1 a
std::string Describe(const Message& message);             // 1 -> 2 append …
std::string Describe(const ConfState& conf);              // voters 1 2 3 learners 4
std::string Describe(const SoftState& state, Term term);  // leader of term 1
// One line for each thing that a Ready asks for; `previous` is the hard state before it.
std::string Describe(NodeId id, Term term, const Ready& ready, HardState* previous);
std::string Describe(const PeerProgress& peer);

}  // namespace keel::raft::testing
