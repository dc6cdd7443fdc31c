package s3

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// ofPut puts the checksum of body into an upload. Left to the SDK it would follow the
// body in a trailer, which few services other than AWS understand.
func (c Checksum) ofPut(input *awss3.PutObjectInput, body []byte) {
	encode := func(sum []byte) *string { return aws.String(base64.StdEncoding.EncodeToString(sum)) }
	switch c {
	case CRC32:
		input.ChecksumCRC32 = encode(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(body)))
	case CRC32C:
		input.ChecksumCRC32C = encode(binary.BigEndian.AppendUint32(nil, crc32.Checksum(body, castagnoli)))
	case SHA256:
		sum := sha256.Sum256(body)
		input.ChecksumSHA256 = encode(sum[:])
	case MD5:
		sum := md5.Sum(body)
		input.ContentMD5 = encode(sum[:])
	}
}

// ofDelete says how the SDK is to check a batch delete, which never goes without.
func (c Checksum) ofDelete() (types.ChecksumAlgorithm, func(*awss3.Options)) {
	switch c {
	case CRC32C:
		return types.ChecksumAlgorithmCrc32c, func(*awss3.Options) {}
	case SHA256:
		return types.ChecksumAlgorithmSha256, func(*awss3.Options) {}
	case MD5:
		return "", func(o *awss3.Options) { o.APIOptions = append(o.APIOptions, md5InPlaceOfSDK) }
	}
	return types.ChecksumAlgorithmCrc32, func(*awss3.Options) {}
}

// md5InPlaceOfSDK makes a request carry Content-MD5, and none of the checksums that the
// SDK gives it otherwise.
func md5InPlaceOfSDK(stack *middleware.Stack) error {
	_, setup := stack.Initialize.Remove("AWSChecksum:SetupInputContext")
	_, compute := stack.Finalize.Remove("AWSChecksum:ComputeInputPayloadChecksum")
	return errors.Join(setup, compute, smithyhttp.AddContentChecksumMiddleware(stack))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
