package check

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// serving asks by the health checking protocol of gRPC; service "" is the whole
// server. Each question is a connection of its own.
func serving(ctx context.Context, address, service string) error {
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
	switch code := status.Code(err); {
	case err == nil && answer.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING:
		return nil
	case err == nil:
		return fmt.Errorf("it says %s", answer.GetStatus())
	case code == codes.Unavailable:
		return fmt.Errorf("nobody answers: %s", whole(status.Convert(err).Message()))
	default:
		return fmt.Errorf("%s: %s", code, whole(status.Convert(err).Message()))
	}
}
