#include "base/pki/web_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <memory>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"

namespace keel::base {

namespace {

// Big-endian, at least `size` bytes, base64url without padding.
std::string Number(EVP_PKEY* key, const char* name, int size) {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &number) != 1) return {};
  std::string bytes(static_cast<size_t>(std::max(size, BN_num_bytes(number))), '\0');
  BN_bn2binpad(number, reinterpret_cast<unsigned char*>(bytes.data()),
               static_cast<int>(bytes.size()));
  BN_free(number);
  std::string text;
  absl::WebSafeBase64Escape(bytes, &text);
  while (text.ends_with('=')) text.pop_back();
  return text;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> WebKeyMembers(const std::string& pem) {
  char none[] = "";
  const std::unique_ptr<BIO, decltype(&BIO_free_all)> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free_all);
  EVP_PKEY* raw = PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, none);
  if (raw == nullptr) {
    (void)BIO_reset(bio.get());
    raw = PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, none);
  }
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(raw, EVP_PKEY_free);
  if (key == nullptr) return {};
  if (EVP_PKEY_get_base_id(raw) == EVP_PKEY_RSA) {
    return {{"kty", "RSA"},
            {"n", Number(raw, OSSL_PKEY_PARAM_RSA_N, 0)},
            {"e", Number(raw, OSSL_PKEY_PARAM_RSA_E, 0)}};
  }
  if (EVP_PKEY_get_base_id(raw) == EVP_PKEY_EC) {
    const int bits = EVP_PKEY_get_bits(raw);
    const int size = (bits + 7) / 8;
    return {{"kty", "EC"},
            {"crv", bits == 256   ? "P-256"
                    : bits == 384 ? "P-384"
                                  : "P-521"},
            {"x", Number(raw, OSSL_PKEY_PARAM_EC_PUB_X, size)},
            {"y", Number(raw, OSSL_PKEY_PARAM_EC_PUB_Y, size)}};
  }
  return {};
}

}  // namespace keel::base
