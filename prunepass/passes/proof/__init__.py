"""The proof that a cut graph equals the masked original, and measures of how far outputs are apart."""

from ._change import ChangedOutput as ChangedOutput
from ._change import Judge as Judge
from ._change import OutputChange as OutputChange
from ._difference import relative_error as relative_error
from ._jitter import largest_moves as largest_moves
from ._jitter import makes_codes as makes_codes
from ._jitter import number_difference as number_difference
from ._masked import check_masked as check_masked
from ._noise import random_values as random_values
from ._proof import Proof as Proof
from ._proof import masked_values as masked_values
from ._proof import prove as prove
from ._proof import random_inputs as random_inputs
from ._proof import refuse_nan as refuse_nan
from ._rounding import rounding_moves as rounding_moves
from ._tuned import with_tuned as with_tuned
