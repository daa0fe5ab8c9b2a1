// Certificates for tests (tests/support/test_ca.py), and contexts of them.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>

#include "base/tls/context.h"

namespace keel::rpc {

class TestCertificates {
 public:
  TestCertificates() {
    char name[] = "/tmp/keel-tls-XXXXXX";
    dir_ = ::mkdtemp(name);
    const std::string command = std::string("/usr/bin/python3 -B " KEEL_TEST_CA " ") + dir_;
    if (::system(command.c_str()) != 0) ADD_FAILURE() << command;
  }
  ~TestCertificates() { std::filesystem::remove_all(dir_); }

  std::string Path(const std::string& name) const { return dir_ + "/" + name; }

  base::TlsOptions Server(const std::string& name = "server") const {
    base::TlsOptions options;
    options.cert_file = Path(name + ".pem");
    options.key_file = Path(name + ".key");
    options.protocols = {"h2", "http/1.1"};
    return options;
  }
  base::TlsOptions MutualServer(const std::string& name = "server") const {
    base::TlsOptions options = Server(name);
    options.require_client_cert = true;
    options.trusted_ca_file = Path("ca.pem");
    return options;
  }
  // Shows the certificate of that name, if any.
  base::TlsOptions Client(const std::string& name = "") const {
    base::TlsOptions options;
    options.trusted_ca_file = Path("ca.pem");
    options.protocols = {"h2"};
    if (!name.empty()) {
      options.cert_file = Path(name + ".pem");
      options.key_file = Path(name + ".key");
    }
    return options;
  }

 private:
  std::string dir_;
};

inline std::shared_ptr<base::TlsContext> MakeContext(base::TlsOptions options, base::TlsRole role) {
  return base::TlsContext::Create(std::move(options), role).value();
}

}  // namespace keel::rpc
