package zone

import "errors"

var ErrDynamic = errors.New("zone is dynamic")
