#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <thread>

#include "base/log.h"
#include "base/pki/authority.h"
#include "base/strings.h"
#include "base/temp_dir.h"
#include "base/tls/self_signed.h"
#include "rpc/client.h"
#include "rpc/server.h"
#include "rpc/test_echo.h"
#include "rpc/tls_testing.h"

namespace keel::rpc {
namespace {

using base::TlsContext;
using base::TlsOptions;
using base::TlsRole;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

// Generous: the machine may be busy.
constexpr seconds kLong(30);
constexpr char kWho[] = "/test.Echo/Who";  // the name in the client's certificate

const TestCertificates& Certificates() {
  static const TestCertificates certificates;
  return certificates;
}

class TlsTest : public ::testing::Test {
 protected:
  void SetUp() override { client_loop_.Start(); }

  void Listen(TlsOptions options, ServerOptions server = {}, size_t loops = 1) {
    server_tls_ = MakeContext(std::move(options), TlsRole::kServer);
    echo_ = std::make_unique<EchoServer>(server, loops);
    echo_->server->RegisterUnary(kWho, [](ServerCallPtr call) {
      const auto name = call->certificate_name();
      call->Reply(name.has_value() ? "name=" + std::string(*name) : std::string("none"));
    });
    echo_->port = echo_->server->Listen("127.0.0.1", 0, server_tls_).value();
  }

  void Connect(TlsOptions options, const std::string& host = "127.0.0.1") {
    ChannelOptions channel;
    channel.tls = MakeContext(std::move(options), TlsRole::kClient);
    channel_ =
        std::make_unique<Channel>(client_loop_, base::StrCat(host, ":", echo_->port), channel);
  }

  absl::StatusOr<std::string> Call(std::string_view path, std::string request) {
    std::promise<absl::StatusOr<std::string>> promise;
    auto future = promise.get_future();
    channel_->Call(
        path, std::move(request), {.deadline = client_loop_.Now() + kLong},
        [&](absl::StatusOr<std::string> response) { promise.set_value(std::move(response)); });
    return future.get();
  }
  // Why a call could not be made.
  std::string Refused() {
    const absl::Status status = Call(kEcho, "x").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    return std::string(base::ToStd(status.message()));
  }

  ServerStats Stats() const { return echo_->server->Stats(); }
  bool WaitForFailures(uint64_t count) const {
    const auto give_up = std::chrono::steady_clock::now() + kLong;
    while (Stats().tls_handshakes_failed < count) {
      if (std::chrono::steady_clock::now() > give_up) return false;
      std::this_thread::sleep_for(milliseconds(5));
    }
    return true;
  }

  base::AsioLoop client_loop_{"client"};
  std::shared_ptr<TlsContext> server_tls_;
  std::unique_ptr<EchoServer> echo_;
  std::unique_ptr<Channel> channel_;
};

// A plain socket to the server.
class RawClient {
 public:
  explicit RawClient(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  ~RawClient() { ::close(fd_); }
  void Send(std::string_view bytes) { (void)::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  void HalfClose() { ::shutdown(fd_, SHUT_WR); }
  // What comes until the server closes; waits `limit` at most.
  std::string ReadToEnd(seconds limit = kLong) {
    timeval time{limit.count(), 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
    std::string out;
    char buffer[4096];
    ssize_t n;
    while ((n = ::recv(fd_, buffer, sizeof(buffer), 0)) > 0)
      out.append(buffer, static_cast<size_t>(n));
    ended_ = n == 0 || errno == ECONNRESET;
    return out;
  }
  bool ended() const { return ended_; }
  int fd() const { return fd_; }

 private:
  int fd_;
  bool ended_ = false;
};

TEST_F(TlsTest, CarriesCallsStreamsAndLargeMessages) {
  Listen(Certificates().Server(), {.max_request_bytes = 64 << 20}, 2);
  Connect(Certificates().Client());
  EXPECT_EQ(Call(kEcho, "hello").value(), "hello");
  std::string large(20 << 20, 'x');
  for (size_t i = 0; i < large.size(); i += 4096) large[i] = static_cast<char>(i >> 12);
  EXPECT_EQ(Call(kEcho, large).value(), large);
  std::vector<std::future<absl::StatusOr<std::string>>> many;
  for (int i = 0; i < 500; ++i) {
    auto promise = std::make_shared<std::promise<absl::StatusOr<std::string>>>();
    many.push_back(promise->get_future());
    channel_->Call(i % 2 == 0 ? kEcho : kThread, std::string(static_cast<size_t>(i) * 37, 'y'), {},
                   [promise](absl::StatusOr<std::string> response) {
                     promise->set_value(std::move(response));
                   });
  }
  for (size_t i = 0; i < many.size(); ++i) EXPECT_EQ(many[i].get().value().size(), i * 37);
  EXPECT_EQ(Call(kWho, "").value(), "none");
  EXPECT_EQ(Stats().tls_handshakes, 1u);
}

TEST_F(TlsTest, NamesAreCheckedToo) {
  Listen(Certificates().Server());
  Connect(Certificates().Client(), "localhost");
  EXPECT_EQ(Call(kEcho, "by name").value(), "by name");
  TlsOptions other = Certificates().Client();
  other.server_name = "localhost";
  Connect(other);
  EXPECT_EQ(Call(kEcho, "by given name").value(), "by given name");
  other.server_name = "other.example";
  Connect(other);
  EXPECT_THAT(Refused(), HasSubstr("not other.example"));
}

TEST_F(TlsTest, ClientRefusesBadServerCertificates) {
  const struct {
    const char* name;
    const char* why;
  } kCases[] = {{"server-expired", "tls: certificate has expired (CN=server-expired)"},
                {"server-future", "tls: certificate is not yet valid"},
                {"server-elsewhere",
                 "tls: certificate is valid for DNS:elsewhere.example, IP:10.9.8.7, not 127.0.0.1"},
                {"server-other", "tls: unable to get local issuer certificate"}};
  for (const auto& one : kCases) {
    Listen(Certificates().Server(one.name));
    Connect(Certificates().Client());
    EXPECT_THAT(Refused(), HasSubstr(one.why));
    EXPECT_THAT(Refused(), HasSubstr(base::StrCat("connect 127.0.0.1:", echo_->port)));
    EXPECT_TRUE(WaitForFailures(1));
    TlsOptions careless = Certificates().Client();
    careless.insecure_skip_verify = true;
    Connect(careless);
    EXPECT_EQ(Call(kEcho, "trusting").value(), "trusting");
    channel_.reset();
  }
}

TEST_F(TlsTest, VerifiedClientsAreNamed) {
  Listen(Certificates().MutualServer());
  Connect(Certificates().Client("alice"));
  EXPECT_EQ(Call(kWho, "").value(), "name=alice");
  Connect(Certificates().Client("bob"));
  EXPECT_EQ(Call(kWho, "").value(), "name=bob");
  EXPECT_EQ(Stats().tls_handshakes_failed, 0u);
}

TEST_F(TlsTest, ServerRefusesBadClientCertificates) {
  TlsOptions options = Certificates().MutualServer();
  options.crl_file = Certificates().Path("crl.pem");
  // With TLS 1.2 a client hears within the handshake what is wrong, with TLS 1.3 after it.
  for (const base::TlsVersion version : {base::TlsVersion::kTls12, base::TlsVersion::kTls13}) {
    Listen(options);
    uint64_t failures = 0;
    for (const char* name :
         {"", "client-expired", "client-future", "client-other", "client-revoked"}) {
      TlsOptions client = Certificates().Client(name);
      client.max_version = version;
      Connect(client);
      EXPECT_THAT(Refused(), HasSubstr("127.0.0.1")) << name;
      EXPECT_TRUE(WaitForFailures(++failures)) << name;
    }
    EXPECT_EQ(Stats().calls_open, 0u);
    Connect(Certificates().Client("alice"));
    EXPECT_EQ(Call(kWho, "").value(), "name=alice");
    channel_.reset();
  }
}

TEST_F(TlsTest, ListPastItsDateStillRevokes) {
  TlsOptions options = Certificates().MutualServer();
  options.crl_file = Certificates().Path("crl-old.pem");
  Listen(options);
  Connect(Certificates().Client("alice"));
  EXPECT_EQ(Call(kEcho, "good").value(), "good");
  Connect(Certificates().Client("client-revoked"));
  Refused();
}

TEST_F(TlsTest, OnlyAllowedNamesComeIn) {
  TlsOptions options = Certificates().MutualServer();
  options.allowed_cns = {"carol", "alice"};
  Listen(options);
  Connect(Certificates().Client("alice"));
  EXPECT_EQ(Call(kEcho, "a").value(), "a");
  Connect(Certificates().Client("bob"));
  Refused();
  options.allowed_cns = {};
  options.allowed_hostnames = {"bob.example"};
  channel_.reset();
  Listen(options);
  Connect(Certificates().Client("bob"));
  EXPECT_EQ(Call(kEcho, "b").value(), "b");
  Connect(Certificates().Client("alice"));
  Refused();
}

TEST_F(TlsTest, PlainTextIsTurnedAwayAndNamed) {
  Listen(Certificates().Server());
  for (const std::string_view bytes :
       {"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2p1 Debian\r\n", "complete nonsense, and more of it"}) {
    RawClient client(echo_->port);
    client.Send(bytes);
    const std::string answer = client.ReadToEnd();
    EXPECT_TRUE(client.ended());
    EXPECT_THAT(answer, ::testing::Not(HasSubstr("HTTP/1")));
  }
  EXPECT_TRUE(WaitForFailures(4));
  // A plain channel, too.
  channel_ = std::make_unique<Channel>(client_loop_, echo_->target());
  EXPECT_EQ(Call(kEcho, "x").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Stats().methods[0].started, 0u);
}

TEST_F(TlsTest, TlsToAPlainPortFails) {
  echo_ = std::make_unique<EchoServer>();
  echo_->Listen();
  Connect(Certificates().Client());
  EXPECT_THAT(Refused(), HasSubstr("tls: the server does not speak TLS here"));
}

TEST_F(TlsTest, VersionsAndCiphersAreRestricted) {
  TlsOptions server = Certificates().Server();
  server.min_version = base::TlsVersion::kTls13;
  Listen(server);
  TlsOptions client = Certificates().Client();
  client.max_version = base::TlsVersion::kTls12;
  Connect(client);
  EXPECT_THAT(Refused(), HasSubstr("protocol version"));
  Connect(Certificates().Client());
  EXPECT_EQ(Call(kEcho, "new").value(), "new");

  server = Certificates().Server();
  server.max_version = base::TlsVersion::kTls12;
  server.cipher_suites = {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"};
  channel_.reset();
  Listen(server);
  client.cipher_suites = {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305"};  // Go's name for it
  Connect(client);
  EXPECT_THAT(Refused(), HasSubstr("handshake failure"));
  client.cipher_suites.push_back("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
  Connect(client);
  EXPECT_EQ(Call(kEcho, "agreed").value(), "agreed");
}

TEST_F(TlsTest, FilesAreTakenOverWhileConnectionsLive) {
  const std::string dir = Certificates().Path("rotating");
  std::filesystem::create_directory(dir);
  const auto put = [&](const std::string& from, const std::string& to) {
    std::filesystem::copy_file(Certificates().Path(from), dir + "/new");
    std::filesystem::rename(dir + "/new", dir + "/" + to);
  };
  put("server.pem", "s.pem");
  put("server.key", "s.key");
  put("ca.pem", "ca.pem");
  TlsOptions options = Certificates().MutualServer();
  options.cert_file = dir + "/s.pem";
  options.key_file = dir + "/s.key";
  options.trusted_ca_file = dir + "/ca.pem";
  Listen(options);
  Connect(Certificates().Client("alice"));
  EXPECT_EQ(Call(kEcho, "before").value(), "before");
  auto first = std::move(channel_);

  // Between the two the files do not fit together: the former ones stay.
  put("server2.pem", "s.pem");
  Connect(Certificates().Client("alice"));
  EXPECT_EQ(Call(kEcho, "between").value(), "between");
  EXPECT_EQ(server_tls_->reloads(), 0u);
  put("server2.key", "s.key");
  Connect(Certificates().Client("alice"));
  EXPECT_EQ(Call(kEcho, "after").value(), "after");
  EXPECT_EQ(server_tls_->reloads(), 1u);

  // Another CA: who was let in stays, who comes is judged anew.
  put("other-ca.pem", "ca.pem");
  Connect(Certificates().Client("client-other"));
  EXPECT_EQ(Call(kWho, "").value(), "name=client-other");
  Connect(Certificates().Client("alice"));
  Refused();
  channel_ = std::move(first);
  EXPECT_EQ(Call(kEcho, "still here").value(), "still here");
  EXPECT_EQ(server_tls_->reloads(), 2u);

  // A missing file changes nothing either.
  std::filesystem::remove(dir + "/s.key");
  Connect(Certificates().Client("client-other"));
  EXPECT_EQ(Call(kEcho, "kept").value(), "kept");
  EXPECT_EQ(server_tls_->reloads(), 2u);
}

// A handshake with the ALPN protocols offered, on OpenSSL alone; then sends `request`.
std::string WithProtocols(uint16_t port, std::string_view wire, const std::string& request,
                          std::string* chosen, const std::string& certificate = "") {
  RawClient client(port);
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  if (!certificate.empty()) {
    SSL_CTX_use_certificate_file(context, (certificate + ".crt").c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(context, (certificate + ".key").c_str(), SSL_FILETYPE_PEM);
  }
  SSL* ssl = SSL_new(context);
  if (!wire.empty()) {
    SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(wire.data()),
                        static_cast<unsigned>(wire.size()));
  }
  SSL_set_fd(ssl, client.fd());
  std::string out;
  if (SSL_connect(ssl) == 1) {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl, &name, &size);
    chosen->assign(reinterpret_cast<const char*>(name), size);
    SSL_write(ssl, request.data(), static_cast<int>(request.size()));
    char buffer[4096];
    int n;
    while ((n = SSL_read(ssl, buffer, sizeof(buffer))) > 0)
      out.append(buffer, static_cast<size_t>(n));
  } else {
    out = "no handshake";
  }
  SSL_free(ssl);
  SSL_CTX_free(context);
  return out;
}

TEST_F(TlsTest, AlpnAndHttp1) {
  Listen(Certificates().Server());
  const std::string get = "GET /a?b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  std::string chosen;
  EXPECT_THAT(WithProtocols(echo_->port, "\x08http/1.1", get, &chosen), HasSubstr("GET /a ? b"));
  EXPECT_EQ(chosen, "http/1.1");
  chosen.clear();
  EXPECT_THAT(WithProtocols(echo_->port, "", get, &chosen), HasSubstr("GET /a ? b"));
  EXPECT_EQ(chosen, "");
  EXPECT_EQ(WithProtocols(echo_->port, "\x06spdy/1", get, &chosen), "no handshake");
  EXPECT_TRUE(WaitForFailures(1));
  TlsOptions client = Certificates().Client();
  client.protocols = {};
  Connect(client);
  EXPECT_EQ(Call(kEcho, "without ALPN").value(), "without ALPN");
  // Two requests on one connection, and one with a body larger than a record.
  const std::string post = base::StrCat(
      "POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", std::string(100000, 'z'));
  const std::string both = WithProtocols(echo_->port, "", post + get, &chosen);
  EXPECT_THAT(both, HasSubstr("zzzz"));
  EXPECT_THAT(both, HasSubstr("GET /a ? b"));
}

// A server that asks for certificates takes who has none, and refuses who has a bad one.
TEST_F(TlsTest, RequestedCertificatesNameTheClientToHttp) {
  const base::TempDir dir;
  const auto ca = base::Authority::Ensure(dir / "ca", "kubernetes").value();
  ASSERT_TRUE(ca.EnsureFiles(dir / "server", {.hosts = {"127.0.0.1"}, .server = true}).ok());
  const base::CertificateSpec jane{
      .common_name = "jane", .organizations = {"dev", "system:masters"}, .client = true};
  ASSERT_TRUE(ca.EnsureFiles(dir / "jane", jane).ok());
  const auto stranger = base::Authority::Make("kubernetes").value();
  ASSERT_TRUE(stranger.EnsureFiles(dir / "forged", jane).ok());
  TlsOptions options;
  options.cert_file = dir / "server.crt";
  options.key_file = dir / "server.key";
  options.trusted_ca_file = dir / "ca.crt";
  options.request_client_cert = true;
  options.protocols = {"h2", "http/1.1"};
  server_tls_ = MakeContext(options, TlsRole::kServer);
  echo_ = std::make_unique<EchoServer>(ServerOptions{}, 1);
  echo_->server->SetHttpHandler([](HttpRequest request, HttpRespond respond) {
    std::string who = "nobody";
    if (request.certificate != nullptr) {
      who = request.certificate->common_name;
      for (const std::string& o : request.certificate->organizations) who += "," + o;
    }
    std::move(respond)({.body = who});
  });
  echo_->port = echo_->server->Listen("127.0.0.1", 0, server_tls_).value();
  const std::string get = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  std::string chosen;
  EXPECT_THAT(WithProtocols(echo_->port, "", get, &chosen), HasSubstr("nobody"));
  EXPECT_THAT(WithProtocols(echo_->port, "", get, &chosen, dir / "jane"),
              HasSubstr("jane,dev,system:masters"));
  // TLS 1.3: the client learns of it only after its own handshake is done.
  EXPECT_THAT(WithProtocols(echo_->port, "", get, &chosen, dir / "forged"),
              testing::AnyOf("", "no handshake"));
  EXPECT_TRUE(WaitForFailures(1));
}

TEST_F(TlsTest, StalledAndHalfClosedHandshakesEnd) {
  Listen(Certificates().Server(), {.handshake_timeout = milliseconds(300)});
  RawClient silent(echo_->port);
  RawClient partial(echo_->port);
  partial.Send(std::string_view("\x16\x03\x01\x02\x00\x01", 6));
  RawClient half(echo_->port);
  half.HalfClose();
  RawClient half_partial(echo_->port);
  half_partial.Send(std::string_view("\x16\x03\x01\x02\x00\x01", 6));
  half_partial.HalfClose();
  for (RawClient* client : {&silent, &partial, &half, &half_partial}) {
    client->ReadToEnd();
    EXPECT_TRUE(client->ended());
  }
  EXPECT_TRUE(WaitForFailures(4));
  // The loop was never held.
  Connect(Certificates().Client());
  EXPECT_EQ(Call(kEcho, "free").value(), "free");
}

TEST_F(TlsTest, GarbageInsideTheHandshakeHarmsNobody) {
  Listen(Certificates().Server(), {.handshake_timeout = milliseconds(500)});
  Connect(Certificates().Client());
  uint32_t state = 12345;
  const auto next = [&] { return state = state * 1664525 + 1013904223; };
  for (int i = 0; i < 200; ++i) {
    RawClient client(echo_->port);
    std::string bytes("\x16\x03\x01", 3);
    const size_t size = next() % 600;
    bytes.push_back(static_cast<char>(size >> 8));
    bytes.push_back(static_cast<char>(size));
    if (i % 2 == 0) bytes += std::string("\x01\x00", 2);
    while (bytes.size() < size + 5) bytes.push_back(static_cast<char>(next() >> 16));
    client.Send(bytes);
    if (i % 3 == 0) client.HalfClose();
    if (i % 20 == 0) {
      EXPECT_EQ(Call(kEcho, "among them").value(), "among them");
    }
  }
  EXPECT_TRUE(WaitForFailures(150));
  EXPECT_EQ(Call(kEcho, "at the end").value(), "at the end");
}

TEST(TlsContextTest, NamesWhatIsWrong) {
  const auto why = [](TlsOptions options, TlsRole role = TlsRole::kServer) {
    return std::string(
        base::ToStd(TlsContext::Create(std::move(options), role).status().message()));
  };
  TlsOptions options = Certificates().Server();
  options.key_file = Certificates().Path("server2.key");
  EXPECT_THAT(why(options), HasSubstr("does not belong to certificate"));
  options = Certificates().Server();
  options.cert_file = "/nowhere/cert.pem";
  EXPECT_EQ(why(options), "certificate /nowhere/cert.pem: No such file or directory");
  options = Certificates().Server();
  options.cert_file = Certificates().Path("server.key");
  EXPECT_THAT(why(options), HasSubstr("server.key: "));
  options.cert_file = "";
  EXPECT_THAT(why(options), HasSubstr("KeyFile and CertFile must both be present"));
  options = Certificates().Server();
  options.cipher_suites = {"TLS_NULL"};
  EXPECT_EQ(why(options), "unexpected TLS cipher suite \"TLS_NULL\"");
  options = Certificates().Server();
  options.min_version = base::TlsVersion::kTls13;
  options.max_version = base::TlsVersion::kTls12;
  EXPECT_THAT(why(options), HasSubstr("is greater than"));
  options = Certificates().MutualServer();
  options.crl_file = Certificates().Path("ca.pem");
  EXPECT_THAT(why(options), HasSubstr("certificate revocation list "));
  options = Certificates().Client();
  options.trusted_ca_file = Certificates().Path("server.key");
  EXPECT_THAT(why(options, TlsRole::kClient), HasSubstr("trusted CA "));
  EXPECT_FALSE(base::ParseTlsVersion("TLS1.1").ok());
  options = {};
  options.pair = base::MakeSelfSigned({"localhost"}, 1).value();
  EXPECT_EQ(why(options), "");
  options.pair.key = base::NewEcKeyPem();
  EXPECT_THAT(why(options), HasSubstr("certificate and key in memory: key values mismatch"));
}

}  // namespace
}  // namespace keel::rpc
