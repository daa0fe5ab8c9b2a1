// The verb `migrate`: moving in from etcd.
#pragma once

#include <CLI/CLI.hpp>

#include "kvstore/kvctl/session.h"

namespace keel::kvctl {

void AddMigrateVerb(CLI::App& app, Session& session);

}  // namespace keel::kvctl
